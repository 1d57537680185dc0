// This module is browser compatible.

/**
 * How much signal and noise a sample holds at a noise level.
 *
 * Source: Lu et al. 2022, "DPM-Solver", section 2; diffusers `_sigma_to_alpha_sigma_t`.
 *
 * @module
 */

import { f32, log32, sqrt32 } from "./float32.ts";

/** A sample is `alpha` times the clean sample plus `sigma` times noise; all float32. */
export interface SignalLevel {
  /** Weight of the clean sample. */
  readonly alpha: number;
  /** Weight of the noise. */
  readonly sigma: number;
  /** Half the log-SNR, log(alpha / sigma). */
  readonly lambda: number;
}

/**
 * The weights of signal and noise at a noise level.
 *
 * @param sigma Noise relative to the signal, or the share of noise in a flow.
 * @param isFlow Whether it is the latter.
 */
export function signalLevel(sigma: number, isFlow: boolean): SignalLevel {
  const alpha = isFlow ? f32(1 - sigma) : f32(1 / sqrt32(f32(f32(sigma * sigma) + 1)));
  const noise = isFlow ? sigma : f32(sigma * alpha);
  return { alpha, sigma: noise, lambda: f32(log32(alpha) - log32(noise)) };
}

/** The weights of signal and noise where `product` of the signal's variance is left, as training adds noise. */
export function trainingLevel(product: number): Pick<SignalLevel, "alpha" | "sigma"> {
  return { alpha: sqrt32(product), sigma: sqrt32(f32(1 - product)) };
}
