// This module is browser compatible.

/**
 * The timesteps of consistency models, which are distilled on a few of the training timesteps.
 *
 * Source: diffusers `set_timesteps` of `scheduling_lcm.py` and `scheduling_tcd.py`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { type RunOptions, withinTraining } from "./run_options.ts";

/** The number of timesteps that the model was distilled on. */
export const originalStepsOption = z.int().min(1).default(50);

/** The options that determine distilled timesteps. */
export interface DistilledConfig {
  /** Number of training timesteps. */
  readonly num_train_timesteps: number;
  /** The number of them that the model was distilled on. */
  readonly original_inference_steps: number;
}

/**
 * Returns the run's own timesteps, or else timesteps chosen evenly from those that the model was distilled
 * on.
 *
 * @param name The scheduler's name, for error messages.
 * @param config The number of timesteps in training and in distillation.
 * @param run The requested run.
 * @throws {InputError} if there are more steps than the model was distilled on.
 */
export function distilledTimesteps(
  name: string,
  { num_train_timesteps: count, original_inference_steps: original }: DistilledConfig,
  run: RunOptions,
): number[] {
  if (run.timesteps) return withinTraining(run.timesteps, count);
  const steps = run.steps!;
  if (original > count || steps > original) {
    const [what, limit, value] = original > count
      ? ["original_inference_steps", count, original]
      : ["steps", original, steps];
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${name} because ${what} must be at most ${limit}: current value is ${value}`,
      { details: { field: "steps" } },
    );
  }
  const interval = Math.floor(count / original);
  const skip = original / steps;
  return Array.from({ length: steps }, (_, index) => (original - Math.floor(index * skip)) * interval - 1);
}
