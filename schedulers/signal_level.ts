// This module is browser compatible.

/**
 * The amounts of signal and noise in a sample at a noise level.
 *
 * Source: Lu et al. 2022, "DPM-Solver", section 2; diffusers `_sigma_to_alpha_sigma_t`.
 *
 * @module
 */

import { f32, log32, sqrt32 } from "./float32.ts";

/** The composition of a sample: `alpha` times the clean sample plus `sigma` times noise; all float32. */
export interface SignalLevel {
  /** The weight of the clean sample. */
  readonly alpha: number;
  /** The weight of the noise. */
  readonly sigma: number;
  /** Half the log-SNR, log(alpha / sigma). */
  readonly lambda: number;
}

/**
 * Returns the weights of signal and noise at a noise level.
 *
 * @param sigma The noise relative to the signal, or the share of noise in a flow.
 * @param isFlow Whether `sigma` is the share of noise in a flow.
 */
export function signalLevel(sigma: number, isFlow: boolean): SignalLevel {
  const alpha = isFlow ? f32(1 - sigma) : f32(1 / sqrt32(f32(f32(sigma * sigma) + 1)));
  const noise = isFlow ? sigma : f32(sigma * alpha);
  return { alpha, sigma: noise, lambda: f32(log32(alpha) - log32(noise)) };
}

/**
 * Returns the weights of signal and noise at a level where `product` is the share of the signal's variance
 * that is left.
 */
export function trainingLevel(product: number): Pick<SignalLevel, "alpha" | "sigma"> {
  return { alpha: sqrt32(product), sigma: sqrt32(f32(1 - product)) };
}
