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
 * Returns the number of training timesteps, from the first on, before half the log-SNR falls below `lambda`.
 */
export function timestepsAboveLambda({ alphas }: TrainingSchedule, lambda: number): number {
  let count = alphas.length;
  while (count > 0 && halfLogSnr(alphas[count - 1]!) < lambda) count--;
  return count;
}

function halfLogSnr(alpha: number): number {
  return f32(log32(sqrt32(alpha)) - log32(sqrt32(f32(1 - alpha))));
}
