// This module is browser compatible.

/**
 * Schedulers: the noise schedule and the solver that lead from noise to an image. Every scheduler accepts the
 * configuration of its diffusers counterpart and follows its arithmetic.
 *
 * @module pixstage/schedulers
 */

import type { JsonObject, JsonValue } from "../artifacts/artifact.ts";
import { allSchedulers, findScheduler, type NamedScheduler } from "./catalogue.ts";
import type { RunOptions } from "./run_options.ts";
import type { Scheduler } from "./scheduler.ts";
import { SchedulerOptionError } from "./scheduler_error.ts";

export { allSchedulers, findScheduler, registerScheduler } from "./catalogue.ts";
export { defineScheduler, type SchedulerDefinition } from "./definition.ts";
export type { RunOptions } from "./run_options.ts";
export type { DrawNoise, ScheduleOptions, Scheduler, SchedulerState, StepResult } from "./scheduler.ts";
export { ScheduleError, SchedulerOptionError, UnknownSchedulerError } from "./scheduler_error.ts";

/** A scheduler as listed for users, before one is created. */
export interface SchedulerListing {
  /** The class name in diffusers. */
  readonly name: string;
  /** Short names for users. */
  readonly shortNames: readonly string[];
  /** A description in one sentence. */
  readonly description: string;
  /** Whether the scheduler draws noise during the run: always, with some options, or never. */
  readonly stochastic: "always" | "sometimes" | "never";
  /** Every option with its default. */
  readonly options: JsonObject;
}

/** Lists every scheduler; those of plugins come last. */
export function listSchedulers(): SchedulerListing[] {
  return allSchedulers().map((definition) => ({
    name: definition.name,
    shortNames: Object.keys(definition.shortNames),
    description: definition.description,
    stochastic: definition.stochastic,
    options: definition.parse({}),
  }));
}

/**
 * Creates a scheduler for one run.
 *
 * @param name A diffusers class name or a short name: `euler_a`, `dpm++2m`, `DPM++ 2M Karras`. The options
 * that a short name implies override the configuration.
 * @param config A parsed `scheduler_config.json`, or the result of `schedulerConfig`. The scheduler ignores
 * keys that it does not know and uses its defaults for missing ones.
 * @param run The number of steps, or the timesteps or sigmas themselves.
 * @param begin Returns the call at which the run will begin; 0 by default. Earlier calls need not be possible.
 * @returns A scheduler for one run of one image.
 * @throws {UnknownSchedulerError} if no scheduler has that name.
 * @throws {SchedulerOptionError} if an option has an invalid value.
 * @throws {ScheduleError} if the scheduler does not support such a run.
 * @throws {InputError} if a number of the run is out of range.
 *
 * @example Usage
 * ```ts
 * import { createScheduler } from "./mod.ts";
 *
 * const scheduler = createScheduler("dpm++2m", { beta_schedule: "linear" }, { steps: 4 });
 * console.assert(scheduler.timesteps.join() === "999,749,500,250");
 *
 * let sample: Float32Array = new Float32Array(16).fill(scheduler.initNoiseSigma);
 * for (const index of scheduler.timesteps.keys()) {
 *   const predicted = scheduler.scaleModelInput(sample, index);
 *   ({ sample } = scheduler.step(predicted, index, sample, (count) => new Float32Array(count)));
 * }
 * ```
 */
export function createScheduler(
  name: string,
  config: unknown,
  run: RunOptions,
  begin?: (scheduler: Scheduler) => number,
): Scheduler {
  const { definition, preset } = findScheduler(name);
  return definition.create({ ...asObject(definition.name, config), ...preset }, run, begin);
}

/**
 * Returns the configuration of a scheduler on top of that of a checkpoint, like diffusers' `from_config`:
 * overrides first, then the checkpoint's values for keys that the scheduler knows, then the scheduler's
 * defaults.
 *
 * @param name A diffusers class name or a short name.
 * @param checkpointConfig A parsed `scheduler_config.json` of any scheduler.
 * @param overrides Options by their diffusers names.
 * @returns Every option of the scheduler, and `_class_name`.
 * @throws {UnknownSchedulerError} if no scheduler has that name.
 * @throws {SchedulerOptionError} if an override is not an option of the scheduler, contradicts its name, or
 * has an invalid value.
 *
 * @example Usage
 * ```ts
 * import { schedulerConfig } from "./mod.ts";
 *
 * const checkpoint = { _class_name: "DPMSolverMultistepScheduler", beta_end: 0.02, solver_order: 2 };
 * const config = schedulerConfig("euler", checkpoint, { use_karras_sigmas: true });
 * console.assert(config._class_name === "EulerDiscreteScheduler" && !("solver_order" in config));
 * ```
 */
export function schedulerConfig(
  name: string,
  checkpointConfig: unknown,
  overrides: Readonly<Record<string, JsonValue>> = {},
): JsonObject {
  const named = findScheduler(name);
  const { definition, preset } = named;
  checkOverrides(named, name, overrides);
  const config = { ...asObject(definition.name, checkpointConfig), ...preset, ...overrides };
  return { _class_name: definition.name, ...withoutInfinity(definition.parse(config)) };
}

/**
 * Replaces infinity by text, because JSON has none: the default of `lambda_min_clipped` is minus infinity.
 */
function withoutInfinity(config: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(config).map(([option, value]) => [option, value === -Infinity ? String(value) : value]),
  );
}

function checkOverrides(
  { definition, preset }: NamedScheduler,
  name: string,
  overrides: Readonly<Record<string, JsonValue>>,
): void {
  const options = Object.keys(definition.options.shape);
  for (const [option, value] of Object.entries(overrides)) {
    if (!options.includes(option)) throw SchedulerOptionError.unknown(definition.name, option, options);
    if (Object.hasOwn(preset, option) && preset[option] !== value) {
      throw new SchedulerOptionError(
        definition.name,
        option,
        `the name ${JSON.stringify(name)} sets ${option} to ${preset[option]}: current value is ${
          JSON.stringify(value)
        }`,
      );
    }
  }
}

function asObject(scheduler: string, config: unknown): Record<string, unknown> {
  if (config === undefined || config === null) return {};
  if (typeof config === "object" && !Array.isArray(config)) return config as Record<string, unknown>;
  throw new SchedulerOptionError(
    scheduler,
    "",
    `its configuration must be an object: current value is ${config}`,
  );
}
