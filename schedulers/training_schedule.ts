// This module is browser compatible.

/**
 * The noise levels of training in the form that sigma-based solvers use.
 *
 * Source: diffusers `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { alphasCumprod, type BetaConfig } from "./betas.ts";
import { f32, log32, sqrt32 } from "./float32.ts";
import { numpyLog32 } from "./numpy_log.ts";

/** Noise levels by training timestep, all float32. */
export interface TrainingSchedule {
  /** The share of the signal's variance that is left: falls from about 1 to about 0. */
  readonly alphas: Float32Array;
  /** The noise relative to the signal, sqrt((1 - alpha) / alpha): rises. */
  readonly sigmas: Float32Array;
  /** The natural logarithms of the sigmas. */
  readonly logSigmas: Float32Array;
}

/** Computes the noise levels of training. */
export function trainingSchedule(config: BetaConfig): TrainingSchedule {
  const alphas = alphasCumprod(config, { liftLast: true });
  const sigmas = alphas.map((alpha) => sqrt32(f32(f32(1 - alpha) / alpha)));
  return { alphas, sigmas, logSigmas: sigmas.map(numpyLog32) };
}

/**
 * Returns the number of training timesteps without those at the end whose half log-SNR is below `lambda`.
 *
 * @param schedule The noise levels of training.
 * @param lambda The least half log-SNR.
 * @param trained The number of training timesteps. The betas can be more or fewer.
 */
export function timestepsAboveLambda({ alphas }: TrainingSchedule, lambda: number, trained: number): number {
  let below = 0;
  while (below < alphas.length && halfLogSnr(alphas[alphas.length - 1 - below]!) < lambda) below++;
  return trained - below;
}

function halfLogSnr(alpha: number): number {
  return f32(log32(sqrt32(alpha)) - log32(sqrt32(f32(1 - alpha))));
}
