// This module is browser compatible.

/**
 * Which training timesteps a run visits.
 *
 * Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", table 2; diffusers'
 * `set_timesteps`.
 *
 * @module
 */

import { z } from "zod";
import { countdown, linspace, roundHalfEven } from "./ranges.ts";

/** How timesteps are spaced. */
export type TimestepSpacing = "linspace" | "leading" | "trailing";

/** The options that say how timesteps are spaced. */
export const spacingOptions = {
  timestep_spacing: z.enum(["linspace", "leading", "trailing"]).default("linspace"),
  steps_offset: z.int().min(0).default(0),
};

/** The same where `leading` is the default. */
export const leadingSpacingOptions = {
  ...spacingOptions,
  timestep_spacing: z.enum(["linspace", "leading", "trailing"]).default("leading"),
};

/** What is needed to space timesteps. */
export interface SpacingConfig {
  /** Number of training timesteps. */
  readonly num_train_timesteps: number;
  /** How timesteps are spaced. */
  readonly timestep_spacing: TimestepSpacing;
  /** Added to every timestep under `leading`. */
  readonly steps_offset: number;
}

/**
 * Timesteps that reach an end of training, falling: the last timestep under `linspace` and `trailing`, the first under
 * `linspace` and `leading`. Integers, but under `linspace`, where they are float64 and not rounded.
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
 * Timesteps of a solver that steps on from the last of them to the clean sample: the ends of `steps` intervals, without
 * the lowest. Integers, falling.
 *
 * @param config How timesteps are spaced.
 * @param steps How many there are; fewer under `trailing` when training is clipped.
 * @param last How many training timesteps are in use, from the first on.
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

/** Counts down from the end of training. What rounds to before the start, by the last digits alone, is left out. */
function trailingTimesteps(last: number, interval: number): number[] {
  return countdown(last, interval).map((end) => roundHalfEven(end) - 1).filter((timestep) => timestep >= 0);
}
