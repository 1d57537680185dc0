// This module is browser compatible.

/**
 * Schedulers: how a run goes from noise to a picture. Every one takes diffusers' own configuration and follows its
 * arithmetic.
 *
 * @module
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

/** What there is to know of a scheduler before it is made. */
export interface SchedulerListing {
  /** diffusers' class name. */
  readonly name: string;
  /** Users' names for it. */
  readonly shortNames: readonly string[];
  /** What it is, in a sentence. */
  readonly description: string;
  /** Whether it draws noise along the run: always, with some options, or never. */
  readonly stochastic: "always" | "sometimes" | "never";
  /** Every option with its default. */
  readonly options: JsonObject;
}

/** Lists every scheduler, those of plugins at the end. */
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
 * Lays out a run.
 *
 * @param name diffusers' class name, or a user's name: `euler_a`, `dpm++2m`, `DPM++ 2M Karras`. What such a name stands
 * for is laid over the configuration.
 * @param config A parsed `scheduler_config.json`, or what `schedulerConfig` gave. Keys that the scheduler does not know
 * are ignored, missing ones take its defaults.
 * @param run How many steps there are, or which ones.
 * @returns A scheduler for one run of one image.
 * @throws {UnknownSchedulerError} if there is none of that name.
 * @throws {SchedulerOptionError} if an option has a value that it cannot take.
 * @throws {ScheduleError} if the scheduler does not take such a run; a kind of TypeError.
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
export function createScheduler(name: string, config: unknown, run: RunOptions): Scheduler {
  const { definition, preset } = findScheduler(name);
  return definition.create({ ...asObject(definition.name, config), ...preset }, run);
}

/**
 * The configuration of a scheduler over that of a checkpoint, as diffusers' `from_config` makes it: what the checkpoint
 * says, where the scheduler knows the key; the scheduler's defaults for the rest; the overrides over both.
 *
 * @param name diffusers' class name, or a user's name.
 * @param checkpointConfig A parsed `scheduler_config.json`, of any scheduler.
 * @param overrides Options in diffusers' spelling.
 * @returns Every option of the scheduler, and `_class_name`.
 * @throws {UnknownSchedulerError} if there is none of that name.
 * @throws {SchedulerOptionError} if an override is no option of the scheduler, contradicts its name, or has a value
 * that it cannot take.
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

/** JSON has no infinity: `lambda_min_clipped`, which is minus infinity by default, is written as a text then. */
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
        `the name ${JSON.stringify(name)} says that ${option} is ${preset[option]}: current value is ${
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
