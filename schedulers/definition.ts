// This module is browser compatible.

/**
 * What the library knows of a scheduler: its names, its options, and how it is made.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { z } from "zod";
import type { JsonObject } from "../artifacts/artifact.ts";
import { explainZodError } from "../errors/explain_zod_error.ts";
import { SchedulerOptionError } from "./scheduler_error.ts";
import { checkRun, type RunOptions, type RunSupport } from "./run_options.ts";
import type { Scheduler } from "./scheduler.ts";

/** A scheduler that can be made by name. */
export interface SchedulerDefinition {
  /** diffusers' class name. */
  readonly name: string;
  /** Users' names for it, and the options that each stands for. */
  readonly shortNames: Readonly<Record<string, JsonObject>>;
  /** What it is, in a sentence. */
  readonly description: string;
  /** Whether it draws noise along the run: always, with some options, or never. */
  readonly stochastic: "always" | "sometimes" | "never";
  /** Whether its step gives the denoised sample beside the next one. */
  readonly givesDenoised: boolean;
  /** Every option that it knows. */
  readonly options: z.ZodObject;
  /** Parses options. */
  parse(config: unknown): JsonObject;
  /** Lays out a run. */
  create(config: unknown, run: RunOptions): Scheduler;
}

/** A scheduler with the types of its own options. */
export interface TypedSchedulerDefinition<Options extends z.ZodObject>
  extends Omit<SchedulerDefinition, "options" | "parse" | "create"> {
  readonly options: Options;
  /** What runs it can take, besides a number of steps. */
  readonly support: RunSupport;
  /** Makes it from parsed options and a checked run. */
  readonly build: (config: z.output<Options>, run: RunOptions) => Scheduler;
}

/** Completes a definition with the checks that all schedulers share. */
export function defineScheduler<Options extends z.ZodObject>(
  { support, build, ...definition }: TypedSchedulerDefinition<Options>,
): SchedulerDefinition {
  const parse = (config: unknown): z.output<Options> => {
    const parsed = definition.options.safeParse(config ?? {});
    if (parsed.success) return parsed.data;
    throw optionError(definition, config, parsed.error);
  };
  return {
    ...definition,
    parse: (config) => parse(config) as JsonObject,
    create(config, run) {
      const parsed = parse(config);
      const takesMu = Boolean(support.mu && parsed.use_dynamic_shifting);
      checkRun(definition.name, { ...support, mu: takesMu }, run);
      const scheduler = build(parsed, run);
      checkFinite(scheduler);
      checkSteps(build(parsed, run));
      return scheduler;
    },
  };
}

/** What is wrong with an option: an option that was not given stands at its default. */
function optionError(
  { name, options }: Pick<SchedulerDefinition, "name" | "options">,
  config: unknown,
  error: z.core.$ZodError,
): SchedulerOptionError {
  const [key] = error.issues[0]?.path ?? [];
  const isDefault = key !== undefined && !Object.hasOwn(Object(config), key);
  const given = isDefault ? { ...options.safeParse({}).data, ...Object(config) } : config;
  const { field, clause } = explainZodError(error, given);
  return new SchedulerOptionError(
    name,
    field,
    `${field ? clause : `the configuration ${clause.replace(/^the value /, "")}`}${
      isDefault ? ", by default" : ""
    }`,
  );
}

/**
 * Refuses a schedule of which some level is no number: options may go together on paper, and not in numbers.
 */
function checkFinite({ name, timesteps, sigmas = [] }: Scheduler): void {
  const call = timesteps.findIndex((timestep, index) => !Number.isFinite(timestep + (sigmas[index] ?? 0)));
  if (call === -1) return;
  throw new InputError(
    "invalid_schedule",
    `Cannot lay out ${name} as every timestep and noise level must be finite: current values of call ${call} are ` +
      `${timesteps[call]} and ${sigmas[call] ?? "none"}. Choose other options, or another mu`,
  );
}

/**
 * Takes the steps of a run on values that are not 0. A weight that is not finite makes them infinite or no
 * number, unless the scheduler clips infinity to the sample's range: then the run goes on from there, as in the
 * reference.
 */
function checkSteps(scheduler: Scheduler): void {
  const { name, timesteps } = scheduler;
  const all = (value: number) => (count: number): Float32Array => new Float32Array(count).fill(value);
  let sample = all(scheduler.initNoiseSigma)(1);
  for (const call of timesteps.keys()) {
    const input = scheduler.scaleModelInput(sample, call);
    const after = scheduler.step(all(0.5)(1), call, sample, all(0.25));
    sample = Float32Array.from(after.sample);
    const values = [...input, ...sample, ...after.predictedOriginal ?? []];
    if (values.every(Number.isFinite)) continue;
    throw new InputError(
      "invalid_schedule",
      `Cannot lay out ${name} as step ${
        call + 1
      } of ${timesteps.length} would give no numbers, whatever the model ` +
        `predicts: from timestep ${timesteps[call]}. Choose other options, or other steps`,
      { details: { field: "scheduler" } },
    );
  }
}
