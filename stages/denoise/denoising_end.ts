// This module is browser compatible.

/**
 * The end of the first part of a denoising.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import { roundHalfEven } from "../../schedulers/ranges.ts";
import type { DenoiseSettings } from "./settings.ts";

/** Timesteps of training, where a scheduler's configuration does not say. */
const TRAINED = 1000;

/**
 * The calls of the model before a fraction of the noise schedule is over: those at timesteps of at least
 * round((1 - share) * num_train_timesteps), the rule of `denoising_end` in diffusers'
 * pipeline_stable_diffusion_xl.py. Steps of several calls stay whole, so that one model takes all of them.
 *
 * @param share The fraction of the schedule, from the noise on.
 * @param settings The settings of the run.
 * @returns The calls, at least one and not all.
 * @throws {InputError} if no step lies before that point, or none behind it.
 */
export function callsBefore(
  share: number,
  { timesteps, schedulerConfig, createScheduler }: Pick<
    DenoiseSettings,
    "timesteps" | "schedulerConfig" | "createScheduler"
  >,
): number {
  const trained = Number(schedulerConfig["num_train_timesteps"] ?? TRAINED);
  const cutoff = roundHalfEven(trained - share * trained);
  const { order = 1 } = createScheduler();
  const before = timesteps.filter((timestep) => timestep >= cutoff).length;
  const calls = before - before % order;
  if (calls > 0 && calls < timesteps.length) return calls;
  throw new InputError(
    "out_of_range",
    `Cannot end the first part of denoising at ${share} because ${
      calls > 0 ? "no step is" : "all steps are"
    } left for the ` +
      `second: the run has ${timesteps.length}, of which ${calls} come before timestep ${cutoff}`,
    { details: { field: "denoisingEnd" } },
  );
}
