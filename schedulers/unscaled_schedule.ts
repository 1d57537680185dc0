// This module is browser compatible.

/**
 * The timesteps and noise levels of the solvers that follow `clean + sigma * noise` and scale the model's
 * input.
 *
 * Sources: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models"; diffusers
 * `set_timesteps` and `init_noise_sigma` of `schedulers/scheduling_euler_discrete.py`.
 *
 * @module
 */

import { quotient } from "./elementwise.ts";
import { f32, sqrt32 } from "./float32.ts";
import { interpolate } from "./ranges.ts";
import { type SigmaSpacingConfig, spacedSigmas, timestepOfSigma } from "./sigma_spacing.ts";
import type { TimestepSpacing } from "./timestep_spacing.ts";
import type { TrainingSchedule } from "./training_schedule.ts";

/** The schedule of a run: float32 timesteps, and the noise level of each. */
export interface UnscaledSchedule {
  /** Timesteps in falling order. */
  readonly timesteps: number[];
  /** Noise levels in falling order. */
  readonly sigmas: number[];
}

/** Returns the noise levels of timesteps, in float64. */
export function sigmasOfTimesteps(timesteps: readonly number[], { sigmas }: TrainingSchedule): number[] {
  return timesteps.map((timestep) => interpolate(sigmas, timestep));
}

/**
 * Respaces noise levels between the ends of the given ones if the options select a spacing, with matching
 * timesteps.
 *
 * @param config The selected spacing.
 * @param training The noise levels of training.
 * @param timesteps The timesteps of the run.
 * @param sigmas Their noise levels in float64.
 */
export function unscaledSchedule(
  config: SigmaSpacingConfig,
  { logSigmas }: TrainingSchedule,
  timesteps: readonly number[],
  sigmas: readonly number[],
): UnscaledSchedule {
  const spaced = spacedSigmas(config, sigmas[0]!, sigmas[sigmas.length - 1]!, timesteps.length);
  return {
    timesteps: (spaced?.map((sigma) => timestepOfSigma(sigma, logSigmas)) ?? timesteps).map(f32),
    sigmas: (spaced ?? sigmas).slice(0, timesteps.length).map(f32),
  };
}

/** Returns the factor by which initial noise is multiplied. */
export function initialSigma(sigmas: readonly number[], spacing: TimestepSpacing): number {
  const highest = Math.max(...sigmas);
  return spacing === "leading" ? sqrt32(f32(f32(highest * highest) + 1)) : highest;
}

/** Scales the sample to the variance of 1 that the model expects. */
export function scaleSample(sample: Float32Array, sigma: number): Float32Array {
  return quotient(sample, sqrt32(f32(f32(sigma * sigma) + 1)));
}
