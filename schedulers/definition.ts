// This module is browser compatible.

/**
 * The definition of a scheduler: its names, its options and its factory.
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

/** A scheduler that can be created by name. */
export interface SchedulerDefinition {
  /** The class name in diffusers. */
  readonly name: string;
  /** Short names for users, each with the options that it implies. */
  readonly shortNames: Readonly<Record<string, JsonObject>>;
  /** A description in one sentence. */
  readonly description: string;
  /** Whether the scheduler draws noise during the run: always, with some options, or never. */
  readonly stochastic: "always" | "sometimes" | "never";
  /** Whether a step returns the denoised sample in addition to the next one. */
  readonly givesDenoised: boolean;
  /** Schema of every option that the scheduler accepts. */
  readonly options: z.ZodObject;
  /** Parses options. */
  parse(config: unknown): JsonObject;
  /**
   * Creates a scheduler for one run.
   *
   * @param config The options.
   * @param run The run.
   * @param begin Returns the call at which the run will begin. Calls before it need not be possible.
   */
  create(config: unknown, run: RunOptions, begin?: (scheduler: Scheduler) => number): Scheduler;
}

/** A scheduler definition with the types of its own options. */
export interface TypedSchedulerDefinition<Options extends z.ZodObject>
  extends Omit<SchedulerDefinition, "options" | "parse" | "create"> {
  readonly options: Options;
  /** The run options that it accepts in addition to a number of steps. */
  readonly support: RunSupport;
  /** Builds the scheduler from parsed options and a checked run. */
  readonly build: (config: z.output<Options>, run: RunOptions) => Scheduler;
}

/** Completes a definition with the checks that every scheduler shares. */
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
    create(config, run, begin = () => 0) {
      const parsed = parse(config);
      const takesMu = Boolean(support.mu && parsed.use_dynamic_shifting);
      checkRun(definition.name, { ...support, mu: takesMu }, run);
      const scheduler = build(parsed, run);
      const first = begin(scheduler);
      checkFinite(scheduler, first);
      const tried = build(parsed, run);
      if (first > 0) tried.begin!(first);
      checkSteps(tried, first);
      return scheduler;
    },
  };
}

/** Explains an invalid option. An option that the caller left out is reported with its default. */
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
 * Throws if a timestep or noise level is not finite, from the first call of the run on: options can be valid
 * each and still contradict each other.
 */
function checkFinite({ name, timesteps, sigmas = [] }: Scheduler, first: number): void {
  const call = timesteps.findIndex((timestep, index) =>
    index >= first && !Number.isFinite(timestep + (sigmas[index] ?? 0))
  );
  if (call === -1) return;
  throw new InputError(
    "invalid_schedule",
    `Cannot lay out ${name} because every timestep and noise level must be finite: call ${call} has timestep ` +
      `${timesteps[call]} and noise level ${sigmas[call] ?? "none"}. Choose other options or another mu`,
  );
}

/**
 * Runs every step, from the first call of the run on, on nonzero values, and throws if a result is not finite. A weight that is not finite causes
 * that, unless the scheduler clips infinity to the sample's range: the run then continues, as in the
 * reference.
 */
function checkSteps(scheduler: Scheduler, first: number): void {
  const { name, timesteps } = scheduler;
  const all = (value: number) => (count: number): Float32Array => new Float32Array(count).fill(value);
  let sample = all(scheduler.initNoiseSigma)(1);
  for (let call = first; call < timesteps.length; call++) {
    const input = scheduler.scaleModelInput(sample, call);
    const after = scheduler.step(all(0.5)(1), call, sample, all(0.25));
    sample = Float32Array.from(after.sample);
    const values = [...input, ...sample, ...after.predictedOriginal ?? []];
    if (values.every(Number.isFinite)) continue;
    throw new InputError(
      "invalid_schedule",
      `Cannot lay out ${name} because step ${
        call + 1
      } of ${timesteps.length} would produce values that are not finite, whatever the model ` +
        `predicts: it starts at timestep ${timesteps[call]}. Choose other options or other steps`,
      { details: { field: "scheduler" } },
    );
  }
}
