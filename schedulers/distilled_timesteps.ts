// This module is browser compatible.

/**
 * The timesteps of models that were distilled on a few of those of training: consistency models.
 *
 * Source: diffusers `set_timesteps` of `scheduling_lcm.py` and `scheduling_tcd.py`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { type RunOptions, withinTraining } from "./run_options.ts";

/** How many timesteps the model was distilled on. */
export const originalStepsOption = z.int().min(1).default(50);

/** What is needed to lay out timesteps. */
export interface DistilledConfig {
  /** Number of training timesteps. */
  readonly num_train_timesteps: number;
  /** How many of them the model was distilled on. */
  readonly original_inference_steps: number;
}

/**
 * Timesteps taken evenly from those that the model was distilled on; those of the run where it brings some.
 *
 * @param name The scheduler, for errors.
 * @param config The timesteps of training and of distillation.
 * @param run What is asked for.
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
      `Cannot lay out ${name} as ${what} must be at most ${limit}: current value is ${value}`,
      { details: { field: "steps" } },
    );
  }
  const interval = Math.floor(count / original);
  const skip = original / steps;
  return Array.from({ length: steps }, (_, index) => (original - Math.floor(index * skip)) * interval - 1);
}
