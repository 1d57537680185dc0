// This module is browser compatible.

/**
 * The schedule shared by both DPM-Solver-2 schedulers: levels of the run, and levels halfway between them in
 * log sigma.
 *
 * Source: diffusers `set_timesteps` of `scheduling_k_dpm_2_discrete.py` and
 * `scheduling_k_dpm_2_ancestral_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { betaOptions } from "./betas.ts";
import { exp32, f32, log32 } from "./float32.ts";
import { roundHalfEven } from "./ranges.ts";
import type { RunOptions } from "./run_options.ts";
import { checkOneSigmaSpacing, timestepOfSigma32 } from "./sigma_spacing.ts";
import { sigmaWalk, sigmaWalkOptions } from "./sigma_walk.ts";
import { trainingSchedule } from "./training_schedule.ts";
import { initialSigma } from "./unscaled_schedule.ts";

/** The options of both schedulers. */
export const kdpm2Options = z
  .object({
    ...sigmaWalkOptions,
    beta_start: betaOptions.beta_start.unwrap().default(0.00085),
    beta_end: betaOptions.beta_end.unwrap().default(0.012),
    prediction_type: z.enum(["epsilon", "v_prediction"]).default("epsilon"),
  })
  .superRefine(checkOneSigmaSpacing);

/** The parsed options of both schedulers. */
export type Kdpm2Config = z.output<typeof kdpm2Options>;

/** The schedule of a run: a call at each level, and one halfway to the next. */
export interface Kdpm2Schedule {
  /** The timestep of each call. */
  readonly timesteps: number[];
  /** The level of each step, then 0: one more entry than there are steps. */
  readonly levels: readonly number[];
  /** The level halfway down each step; 0 for the last step. */
  readonly halfway: readonly number[];
  /** The factor by which initial noise is multiplied. */
  readonly initNoiseSigma: number;
}

/**
 * Lays out a run.
 *
 * @param config How levels are spaced.
 * @param run The number of steps.
 * @param down Returns the level that the step from one level to the next reaches before noise is added.
 */
export function kdpm2Schedule(
  config: Kdpm2Config,
  run: RunOptions,
  down: (sigma: number, next: number) => number,
): Kdpm2Schedule {
  const training = trainingSchedule(config);
  const { timesteps, sigmas } = sigmaWalk(config, training, run);
  const visited = config.use_karras_sigmas ? timesteps.map(roundHalfEven) : timesteps;
  const halfway = sigmas.map((sigma, step) => {
    const next = sigmas[step + 1];
    return next === undefined ? 0 : meanInLog(sigma, down(sigma, next));
  });
  return {
    timesteps: visited.flatMap((timestep, step) =>
      step === 0 ? [timestep] : [f32(timestepOfSigma32(halfway[step - 1]!, training.logSigmas)), timestep]
    ),
    levels: [...sigmas, 0],
    halfway,
    initNoiseSigma: initialSigma(sigmas, config.timestep_spacing),
  };
}

/**
 * Returns the levels as the reference stores them, one more than there are calls: a halfway call has its
 * step's end.
 */
export function levelsOfCalls(levels: readonly number[]): number[] {
  const [first = 0, ...rest] = levels.slice(0, -1);
  return [first, ...rest.flatMap((level) => [level, level]), 0];
}

/** Returns the geometric mean, computed from logarithms in float32. */
function meanInLog(high: number, low: number): number {
  const [from, to] = [log32(high), log32(low)];
  return exp32(f32(to - f32(f32(to - from) * 0.5)));
}
