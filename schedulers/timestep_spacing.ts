// This module is browser compatible.

/**
 * The training timesteps that a run visits.
 *
 * Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", table 2;
 * diffusers' `set_timesteps`.
 *
 * @module
 */

import { z } from "zod";
import { countdown, linspace, roundHalfEven } from "./ranges.ts";

/** The spacing of timesteps. */
export type TimestepSpacing = "linspace" | "leading" | "trailing";

/** The options that determine how timesteps are spaced. */
export const spacingOptions = {
  timestep_spacing: z.enum(["linspace", "leading", "trailing"]).default("linspace"),
  steps_offset: z.int().min(0).default(0),
};

/** The same options with `leading` as the default. */
export const leadingSpacingOptions = {
  ...spacingOptions,
  timestep_spacing: z.enum(["linspace", "leading", "trailing"]).default("leading"),
};

/** The options that determine the spacing of timesteps. */
export interface SpacingConfig {
  /** Number of training timesteps. */
  readonly num_train_timesteps: number;
  /** The spacing of timesteps. */
  readonly timestep_spacing: TimestepSpacing;
  /** Added to every timestep under `leading`. */
  readonly steps_offset: number;
}

/**
 * Returns falling timesteps that reach an end of training: the last timestep under `linspace` and `trailing`,
 * the first under `linspace` and `leading`. They are integers, except under `linspace`, which yields float64
 * without rounding.
 */
export function spreadTimesteps(config: SpacingConfig, steps: number): number[] {
  const { num_train_timesteps: count, steps_offset: offset } = config;
  switch (config.timestep_spacing) {
    case "linspace":
      return linspace(0, count - 1, steps).reverse();
    case "leading": {
      const ratio = Math.floor(count / steps);
      return Array.from({ length: steps }, (_, index) => (steps - 1 - index) * ratio + offset);
    }
    case "trailing":
      return trailingTimesteps(count, count / steps);
  }
}

/**
 * Returns the timesteps of a solver whose last step leads to the clean sample: the ends of `steps` intervals,
 * except the lowest. They are integers in falling order.
 *
 * @param config How timesteps are spaced.
 * @param steps The number of timesteps; `trailing` returns fewer if training is clipped.
 * @param last The number of training timesteps in use, counted from the first.
 */
export function intervalTimesteps(
  config: SpacingConfig,
  steps: number,
  last: number = config.num_train_timesteps,
): number[] {
  switch (config.timestep_spacing) {
    case "linspace":
      return linspace(0, last - 1, steps + 1).map(roundHalfEven).reverse().slice(0, -1);
    case "leading": {
      const ratio = Math.floor(last / (steps + 1));
      return Array.from({ length: steps }, (_, index) => (steps - index) * ratio + config.steps_offset);
    }
    case "trailing":
      return trailingTimesteps(last, config.num_train_timesteps / steps);
  }
}

/**
 * Counts down from the end of training. Drops values that are before the start only because of rounding
 * errors.
 */
function trailingTimesteps(last: number, interval: number): number[] {
  return countdown(last, interval).map((end) => roundHalfEven(end) - 1).filter((timestep) => timestep >= 0);
}
