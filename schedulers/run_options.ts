// This module is browser compatible.

/**
 * What a run asks of a scheduler, checked before anything is laid out.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { ScheduleError } from "./scheduler_error.ts";
import type { ScheduleOptions } from "./scheduler.ts";

/** Which schedule a run takes, and what else it says. */
export interface RunOptions extends ScheduleOptions {
  /**
   * How much noise DDIM and TCD add at each step, from 0 (none) to 1 (DDIM: as much as DDPM).
   *
   * @default {0}
   */
  readonly eta?: number | undefined;
  /** How far noise levels are shifted up, for a scheduler with `use_dynamic_shifting`. */
  readonly mu?: number | undefined;
}

/** What a scheduler can take besides a number of steps. */
export interface RunSupport {
  /** Whether it takes timesteps. */
  readonly timesteps?: boolean;
  /** Whether it takes sigmas. */
  readonly sigmas?: boolean;
  /** Whether it takes eta. */
  readonly eta?: boolean;
  /** Whether it takes mu, where its options ask for it. */
  readonly mu?: boolean;
}

/**
 * Checks what a run asks for. Timesteps or sigmas say how many steps there are; `steps` is ignored beside them.
 *
 * @param name The scheduler, for errors.
 * @param support What it can take.
 * @param run What is asked for.
 * @throws {ScheduleError} if there is neither a number of steps nor timesteps nor sigmas, or both of the latter, or what
 * the scheduler does not take.
 * @throws {InputError} if a number is out of range, or a list does not fall.
 */
export function checkRun(name: string, support: RunSupport, run: RunOptions): void {
  const { steps, timesteps, sigmas, eta, mu } = run;
  if (timesteps && sigmas) {
    throw new ScheduleError(
      `Cannot lay out ${name} as it takes either timesteps or sigmas: current value has both`,
      "sigmas",
    );
  }
  for (const [what, list] of [["timesteps", timesteps], ["sigmas", sigmas]] as const) {
    if (!list) continue;
    if (!support[what]) {
      throw new ScheduleError(`Cannot lay out ${name} as it takes no ${what}: give steps`, what);
    }
    checkFalling(name, what, list);
  }
  if (!timesteps && !sigmas) checkSteps(name, steps);
  if (eta !== undefined && !(eta >= 0 && eta <= 1)) {
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${name} as eta must be from 0 to 1: current value is ${eta}`,
      { details: { field: "eta" } },
    );
  }
  if (eta && !support.eta) {
    throw new ScheduleError(`Cannot lay out ${name} as it takes no eta: current value is ${eta}`, "eta");
  }
  if (mu !== undefined && (!support.mu || !Number.isFinite(mu))) {
    const fault = support.mu ? "mu must be finite" : "it takes mu only with use_dynamic_shifting";
    throw new ScheduleError(`Cannot lay out ${name} as ${fault}: current value is ${mu}`, "mu");
  }
}

/** The number of steps of a run without timesteps or sigmas, checked. */
export function stepsOf(run: RunOptions, trainingTimesteps: number): number {
  const steps = run.steps!;
  if (steps > trainingTimesteps) {
    throw new InputError(
      "out_of_range",
      `Cannot lay out a schedule as steps must be at most ${trainingTimesteps}: current value is ${steps}`,
      { details: { field: "steps" } },
    );
  }
  return steps;
}

/** Which timesteps a scheduler takes. */
export interface TimestepSupport {
  /**
   * Whether they must be whole.
   *
   * @default {true}
   */
  readonly integers?: boolean;
  /**
   * Whether they may lie beyond training, where the noise level is that of the last timestep.
   *
   * @default {false}
   */
  readonly beyond?: boolean;
}

/**
 * Checks timesteps against training.
 *
 * @returns The timesteps.
 * @throws {InputError} if one is no integer, where integers are asked for, or lies outside of training.
 */
export function withinTraining(
  timesteps: readonly number[],
  trainingTimesteps: number,
  { integers = true, beyond = false }: TimestepSupport = {},
): number[] {
  const last = beyond ? Infinity : trainingTimesteps - 1;
  for (const timestep of timesteps) {
    if (timestep >= 0 && timestep <= last && (Number.isInteger(timestep) || !integers)) continue;
    throw new InputError(
      "out_of_range",
      `Cannot lay out a schedule as timesteps must be ${integers ? "integers " : ""}${
        beyond ? "of at least 0" : `from 0 to ${last}`
      }: current value is ${timestep}`,
      { details: { field: "timesteps" } },
    );
  }
  return [...timesteps];
}

function checkSteps(name: string, steps: number | undefined): void {
  if (steps === undefined) {
    throw new ScheduleError(`Cannot lay out ${name} without a number of steps: give steps`, "steps");
  }
  if (!Number.isInteger(steps) || steps < 1) {
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${name} as steps must be an integer of at least 1: current value is ${steps}`,
      { details: { field: "steps" } },
    );
  }
}

function checkFalling(name: string, what: string, list: readonly number[]): void {
  if (list.length === 0) {
    throw new InputError("out_of_range", `Cannot lay out ${name} as ${what} must not be empty`, {
      details: { field: what },
    });
  }
  for (const [index, value] of list.entries()) {
    const before = list[index - 1];
    if (Number.isFinite(value) && value >= 0 && (before === undefined || value < before)) continue;
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${name} as ${what} must fall and not be negative: current value at ${index} is ${value}${
        before === undefined ? "" : ` after ${before}`
      }`,
      { details: { field: what } },
    );
  }
}

/**
 * The run's own shift, where the options ask for it.
 *
 * @throws {ScheduleError} if it is asked for and not given.
 */
export function muOf(name: string, isAskedFor: boolean, { mu }: RunOptions): number | undefined {
  if (!isAskedFor) return undefined;
  if (mu !== undefined) return mu;
  throw new ScheduleError(`Cannot lay out ${name} with use_dynamic_shifting without mu: give mu`, "mu");
}
