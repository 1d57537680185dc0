// This module is browser compatible.

/**
 * The options and levels of the schedulers that go from one training noise level to the next and accept no
 * custom timesteps: LMS and KDPM2.
 *
 * Source: diffusers `set_timesteps` of `scheduling_lms_discrete.py` and `scheduling_k_dpm_2_discrete.py`.
 *
 * @module
 */

import { betaOptions } from "./betas.ts";
import { f32 } from "./float32.ts";
import { type RunOptions, stepsOf } from "./run_options.ts";
import { sigmaSpacingOptions } from "./sigma_spacing.ts";
import type { SigmaSpacingConfig } from "./sigma_spacing.ts";
import { type SpacingConfig, spacingOptions, spreadTimesteps } from "./timestep_spacing.ts";
import type { TrainingSchedule } from "./training_schedule.ts";
import { sigmasOfTimesteps, type UnscaledSchedule, unscaledSchedule } from "./unscaled_schedule.ts";

/** The options that determine how levels are spaced. */
export const sigmaWalkOptions = { ...betaOptions, ...sigmaSpacingOptions, ...spacingOptions };

/**
 * Returns the timesteps of a run and their noise levels, without the final 0.
 *
 * @param config How levels are spaced.
 * @param training The noise levels of training.
 * @param run The number of steps.
 */
export function sigmaWalk(
  config: SpacingConfig & SigmaSpacingConfig,
  training: TrainingSchedule,
  run: RunOptions,
): UnscaledSchedule {
  const visited = spreadTimesteps(config, stepsOf(run, config.num_train_timesteps)).map(f32);
  return unscaledSchedule(config, training, visited, sigmasOfTimesteps(visited, training));
}
