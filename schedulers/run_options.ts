// This module is browser compatible.

/**
 * The options of a run, checked before a schedule is laid out.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { ScheduleError } from "./scheduler_error.ts";
import type { ScheduleOptions } from "./scheduler.ts";

/** The schedule of a run and its other options. */
export interface RunOptions extends ScheduleOptions {
  /**
   * The amount of noise that DDIM and TCD add at each step, from 0 (none) to 1 (for DDIM, as much as DDPM).
   *
   * @default {0}
   */
  readonly eta?: number | undefined;
  /** The shift of noise levels, for a scheduler with `use_dynamic_shifting`. */
  readonly mu?: number | undefined;
}

/** The run options that a scheduler accepts in addition to a number of steps. */
export interface RunSupport {
  /** Whether the scheduler accepts timesteps. */
  readonly timesteps?: boolean;
  /** Whether the scheduler accepts sigmas. */
  readonly sigmas?: boolean;
  /** Whether the scheduler accepts eta. */
  readonly eta?: boolean;
  /** Whether the scheduler accepts mu, provided that its options enable the shift. */
  readonly mu?: boolean;
}

/**
 * Checks the options of a run. Timesteps or sigmas determine the number of steps; `steps` is then ignored.
 *
 * @param name The scheduler's name, for error messages.
 * @param support The run options that the scheduler accepts.
 * @param run The requested run.
 * @throws {ScheduleError} if the run has no steps, timesteps or sigmas, if it has both timesteps and sigmas,
 * or if it has an option that the scheduler does not accept.
 * @throws {InputError} if a number is out of range, or if a list does not fall.
 */
export function checkRun(name: string, support: RunSupport, run: RunOptions): void {
  const { steps, timesteps, sigmas, eta, mu } = run;
  if (timesteps && sigmas) {
    throw new ScheduleError(
      `Cannot lay out ${name} with both timesteps and sigmas: give one of them`,
      "sigmas",
    );
  }
  for (const [what, list] of [["timesteps", timesteps], ["sigmas", sigmas]] as const) {
    if (!list) continue;
    if (!support[what]) {
      throw new ScheduleError(`Cannot lay out ${name} because it accepts no ${what}: give steps`, what);
    }
    checkFalling(name, what, list);
  }
  if (!timesteps && !sigmas) checkSteps(name, steps);
  if (eta !== undefined && !(eta >= 0 && eta <= 1)) {
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${name} because eta must be from 0 to 1: current value is ${eta}`,
      { details: { field: "eta" } },
    );
  }
  if (eta && !support.eta) {
    throw new ScheduleError(
      `Cannot lay out ${name} because it accepts no eta: current value is ${eta}`,
      "eta",
    );
  }
  if (mu !== undefined && (!support.mu || !Number.isFinite(mu))) {
    const fault = support.mu ? "mu must be finite" : "it accepts mu only with use_dynamic_shifting";
    throw new ScheduleError(`Cannot lay out ${name} because ${fault}: current value is ${mu}`, "mu");
  }
}

/** Returns the checked number of steps of a run without timesteps or sigmas. */
export function stepsOf(run: RunOptions, trainingTimesteps: number): number {
  const steps = run.steps!;
  if (steps > trainingTimesteps) {
    throw new InputError(
      "out_of_range",
      `Cannot lay out a schedule because steps must be at most ${trainingTimesteps}: current value is ${steps}`,
      { details: { field: "steps" } },
    );
  }
  return steps;
}

/** The timesteps that a scheduler accepts. */
export interface TimestepSupport {
  /**
   * Whether timesteps must be integers.
   *
   * @default {true}
   */
  readonly integers?: boolean;
  /**
   * Whether timesteps can exceed those of training; the noise level there is that of the last timestep.
   *
   * @default {false}
   */
  readonly beyond?: boolean;
}

/**
 * Checks that timesteps are within those of training.
 *
 * @returns The timesteps.
 * @throws {InputError} if a timestep lies outside of training, or is not an integer although it must be.
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
      `Cannot lay out a schedule because timesteps must be ${integers ? "integers " : ""}${
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
      `Cannot lay out ${name} because steps must be an integer of at least 1: current value is ${steps}`,
      { details: { field: "steps" } },
    );
  }
}

function checkFalling(name: string, what: string, list: readonly number[]): void {
  if (list.length === 0) {
    throw new InputError("out_of_range", `Cannot lay out ${name} because ${what} must not be empty`, {
      details: { field: what },
    });
  }
  for (const [index, value] of list.entries()) {
    const before = list[index - 1];
    if (Number.isFinite(value) && value >= 0 && (before === undefined || value < before)) continue;
    throw new InputError(
      "out_of_range",
      `Cannot lay out ${name} because ${what} must fall and not be negative: current value at ${index} is ${value}${
        before === undefined ? "" : ` after ${before}`
      }`,
      { details: { field: what } },
    );
  }
}

/**
 * Returns the run's own shift if the options enable it.
 *
 * @throws {ScheduleError} if the options enable it and the run does not have it.
 */
export function muOf(name: string, isAskedFor: boolean, { mu }: RunOptions): number | undefined {
  if (!isAskedFor) return undefined;
  if (mu !== undefined) return mu;
  throw new ScheduleError(`Cannot lay out ${name} with use_dynamic_shifting without mu: give mu`, "mu");
}
