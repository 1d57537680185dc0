// This module is browser compatible.

/**
 * Noise levels of flow matching: the share of noise in the sample, from 1 down to 0, shifted towards higher
 * noise.
 *
 * Source: Esser et al. 2024, "Scaling Rectified Flow Transformers", section 5.3.2; diffusers
 * `schedulers/scheduling_flow_match_euler_discrete.py`.
 *
 * @module
 */

import { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import { linspace } from "./ranges.ts";

/** The options of solvers that support flows. */
export const flowOptions = {
  use_flow_sigmas: z.boolean().nullable().default(false),
  flow_shift: z.number().gt(0).nullable().default(1),
  use_dynamic_shifting: z.boolean().default(false),
  time_shift_type: z.enum(["exponential"]).default("exponential"),
};

/** The options that determine the noise levels of a flow. */
export interface FlowConfig {
  /** Number of training timesteps. */
  readonly num_train_timesteps: number;
  /** The factor by which the odds of a noise level are multiplied; 1 leaves levels unchanged. */
  readonly flow_shift: number | null;
  /** Whether the run provides the shift, as `mu`. */
  readonly use_dynamic_shifting: boolean;
}

/** Noise levels and the timesteps that the model expects for them. */
export interface FlowSchedule {
  /** Noise levels in falling order. */
  readonly sigmas: number[];
  /** Noise levels times the number of training timesteps. */
  readonly timesteps: number[];
}

/**
 * Returns noise levels between 1 and 0, both excluded, for solvers that support diffusions as well as flows.
 */
export function flowSchedule(config: FlowConfig, steps: number, mu: number | undefined): FlowSchedule {
  const { num_train_timesteps: count } = config;
  const shift = mu === undefined ? config.flow_shift ?? 1 : Math.exp(mu);
  const sigmas = linspace(1, 1 / count, steps + 1).map((alpha) => shiftSigma(1 - alpha, shift)).reverse()
    .slice(0, -1);
  return { sigmas, timesteps: sigmas.map((sigma) => sigma * count) };
}

/**
 * Removes a final 0 from the noise levels that a run provides, because a solver that takes their logarithms
 * cannot step from 0.
 */
export function withoutFinalZero(sigmas: readonly number[]): readonly number[] {
  return sigmas.length > 1 && sigmas[sigmas.length - 1] === 0 ? sigmas.slice(0, -1) : sigmas;
}

/** Shifts a noise level up by multiplying its odds by a factor. */
export function shiftSigma(
  sigma: number,
  shift: number,
  round: (x: number) => number = Number,
): number {
  return round(round(round(shift) * sigma) / round(1 + round(round(shift - 1) * sigma)));
}

/** Shifts a noise level up by `mu`, which usually grows with the size of the image. */
export function shiftSigmaBy(
  sigma: number,
  mu: number,
  type: "exponential" | "linear",
  round: (x: number) => number = Number,
): number {
  const weight = type === "exponential" ? Math.exp(mu) : mu;
  return round(round(weight) / round(round(weight) + round(round(1 / sigma) - 1)));
}

/**
 * Stretches noise levels so that the last one is `terminal`.
 *
 * @throws {InputError} if the last level is 1, as in a run of one step.
 */
export function stretchToTerminal(
  sigmas: readonly number[],
  terminal: number,
  round: (x: number) => number = Number,
): number[] {
  if (sigmas[sigmas.length - 1] === 1) {
    throw new InputError(
      "out_of_range",
      "Cannot stretch noise levels to shift_terminal because the last one must be below 1: give more steps",
      { details: { field: "steps" } },
    );
  }
  const scale = round(round(1 - sigmas[sigmas.length - 1]!) / round(1 - terminal));
  return sigmas.map((sigma) => round(1 - round(round(1 - sigma) / scale)));
}
