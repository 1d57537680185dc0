/**
 * Follows random runs of diffusers' schedulers step by step. See README.md.
 *
 * @module
 */

import { z } from "zod";
import { toPixstageError } from "../../errors/foreign_error.ts";
import { createScheduler, type DrawNoise, type Scheduler } from "../../schedulers/mod.ts";
import { referenceOf } from "./command_line.ts";
import {
  type Deviation as KnownDeviation,
  knownSchedulerDifference,
  type TraceSubject,
} from "./known_scheduler_differences.ts";
import { unpack } from "./reference_process.ts";
import { DIFFERS, EQUAL, type Outcome, Tally, WITHIN_FLOOR } from "./tally.ts";

/** The limits of tests/schedulers: five times the goldens' noise floor, but at least a base value. */
const SIGMA_LIMIT = 1e-6;
const FRACTIONAL_TIMESTEP_LIMIT = 0.01;
const TRACE_LIMIT = 4e-5;
const FLOORS = 5;

const packed = z.string().transform(unpack);
const subject = {
  name: z.string(),
  config: z.record(z.string(), z.json()),
  run: z.record(z.string(), z.json()),
};
const schema = z.union([
  z.object({ ...subject, seed: z.number(), error: z.string() }),
  z.object({
    ...subject,
    seed: z.number(),
    timesteps: packed,
    sigmas: packed.nullable(),
    initNoiseSigma: z.number(),
    start: packed,
    outputs: packed,
    noise: packed,
    inputs: packed,
    samples: packed,
  }),
]);
const floorsSchema = z.object({ samples: z.number(), sigmas: z.number(), timesteps: z.number() });
const NO_FLOORS = { samples: 0, sigmas: 0, timesteps: 0 };
/** Schedulers with whole timesteps. Those over sigmas also pass fractions to the model. */
const WHOLE_TIMESTEPS =
  /^(DPMSolver(Multi|Single)step|UniPCMultistep|DEISMultistep|DD[IP]M|PNDM|LCM|TCD|SASolver)Scheduler$/;
type Trace = z.output<typeof schema>;
type Reference = Exclude<Trace, { error: string }>;
type Floors = z.output<typeof floorsSchema>;

const source = referenceOf("scheduler_traces.py", 50_000);
const tally = new Tally();
const beyond: { readonly trace: Reference; readonly deviation: Deviation }[] = [];
for await (const line of source.draw()) {
  const trace = schema.parse(JSON.parse(line));
  const outcome = compare(trace);
  if ("rule" in outcome) tally.add(trace.name, outcome, subjectOf(trace));
  else beyond.push(outcome);
}
let index = 0;
for await (
  const line of beyond.length > 0 ? source.floors(beyond.map(({ trace }) => subjectOf(trace))) : []
) {
  const { trace, deviation } = beyond[index++]!;
  const floors = floorsSchema.parse(JSON.parse(line));
  const { share, what } = largestShare(deviation, trace, floors);
  const rule = share <= 1
    ? WITHIN_FLOOR
    : explain(trace, { deviation: known(trace, deviation, floors, what) }) ?? DIFFERS;
  tally.add(trace.name, { rule, share, what }, subjectOf(trace));
}
tally.report();
if (!tally.isExplained) Deno.exitCode = 1;

/**
 * Compares a run with the reference. If it exceeds the base limit, the comparison waits for the run's own
 * noise floor.
 */
function compare(trace: Trace): Outcome | (typeof beyond)[number] {
  const theirs = "error" in trace ? trace.error : trace.samples.every(Number.isFinite) ? undefined : "NaN";
  const result = attempt(() => createScheduler(trace.name, trace.config, trace.run));
  const ours = "error" in result ? result.error : undefined;
  if ("error" in result || theirs !== undefined || "error" in trace) {
    const what = `here: ${ours ?? "a sample"}; diffusers: ${theirs ?? "a sample"}`;
    return { rule: explain(trace, { ours, theirs }) ?? DIFFERS, what };
  }
  const deviation = follow(result.value, trace);
  const { share, what } = largestShare(deviation, trace, NO_FLOORS);
  return share <= 1 ? { rule: EQUAL, share, what } : { trace, deviation };
}

function subjectOf({ name, config, run, seed }: Trace) {
  return { name, config, run, seed };
}

function known(trace: Reference, deviation: Deviation, floors: Floors, what: string): KnownDeviation {
  return {
    what,
    samples: Math.max(0, ...deviation.samples.map(([difference]) => difference)) / largestSample(trace),
    besideTimesteps: largestShare({ ...deviation, timesteps: 0 }, trace, floors).share,
    timesteps: Array.from(trace.timesteps),
  };
}

function explain(trace: Trace, what: Partial<TraceSubject>): string | undefined {
  const { name, config, run } = trace;
  return knownSchedulerDifference({ name, config, run, ...what });
}

function attempt<Value>(make: () => Value): { readonly value: Value } | { readonly error: string } {
  try {
    return { value: make() };
  } catch (error) {
    const { code, fault, message } = toPixstageError(error);
    if (fault !== "caller") throw error;
    return { error: `${code}: ${message}` };
  }
}

/** The deviation of a run from the reference. */
interface Deviation {
  /** Whether the numbers of timesteps and of noise samples are equal. */
  readonly isCounted: boolean;
  /** The largest difference between timesteps. */
  readonly timesteps: number;
  /** The largest relative difference between noise levels. */
  readonly sigmas: number;
  /** Differences between samples. */
  readonly samples: readonly (readonly [difference: number, what: string])[];
}

/**
 * Returns the largest deviation as a fraction of its limit: five noise floors, but at least the base limit.
 * Whole timesteps must be equal, or differ only as much as rounding moves those of the run itself.
 */
function largestShare(
  { timesteps, sigmas, samples, isCounted }: Deviation,
  reference: Reference,
  floors: Floors,
): { readonly share: number; readonly what: string } {
  const limit = Math.max(TRACE_LIMIT * largestSample(reference), FLOORS * floors.samples);
  const timestepLimit = WHOLE_TIMESTEPS.test(reference.name)
    ? Math.max(Number.MIN_VALUE, floors.timesteps)
    : Math.max(FRACTIONAL_TIMESTEP_LIMIT, FLOORS * floors.timesteps);
  const shares: (readonly [share: number, what: string])[] = [
    [isCounted ? 0 : Infinity, "number of timesteps or draws"],
    [timesteps / timestepLimit, "timesteps"],
    [sigmas / Math.max(SIGMA_LIMIT, FLOORS * floors.sigmas), "sigmas"],
    ...samples.map(([difference, what]) => [difference / limit, what] as const),
  ];
  const [share, what] = shares.reduce((most, entry) => entry[0] <= most[0] ? most : entry);
  return { share, what };
}

function largestSample({ samples }: Reference): number {
  return samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function follow(scheduler: Scheduler, reference: Reference): Deviation {
  const { timesteps, sigmas, inputs, outputs } = reference;
  if (scheduler.timesteps.length !== timesteps.length) {
    return { isCounted: false, timesteps: 0, sigmas: 0, samples: [] };
  }
  // diffusers has one more log-linear level, which no step uses.
  const levels = scheduler.sigmas?.length === timesteps.length + 1
    ? sigmas?.subarray(0, timesteps.length + 1)
    : sigmas;

  const start = Float32Array.from(reference.start);
  const noise = Float32Array.from(reference.noise);
  let drawn = 0;
  const draw: DrawNoise = (count) => noise.slice(drawn, drawn += count);
  const part = (all: Float64Array, call: number): Float64Array =>
    all.subarray(call * start.length, (call + 1) * start.length);
  const samples: [number, string][] = [];
  let sample: Float32Array = start.map((value) => value * scheduler.initNoiseSigma);
  for (const call of timesteps.keys()) {
    const input = scheduler.scaleModelInput(sample, call);
    samples.push([largest(input, part(inputs, call)), `input of call ${call}`]);
    sample = scheduler.step(Float32Array.from(part(outputs, call)), call, sample, draw).sample;
    samples.push([largest(sample, part(reference.samples, call)), `sample after call ${call}`]);
  }
  return {
    isCounted: drawn === noise.length,
    timesteps: largest(scheduler.timesteps, timesteps),
    sigmas: Math.max(
      relative([scheduler.initNoiseSigma], [reference.initNoiseSigma]),
      scheduler.sigmas && levels ? relative(scheduler.sigmas, levels) : 0,
    ),
    samples,
  };
}

function largest(actual: ArrayLike<number>, expected: Float64Array): number {
  if (actual.length !== expected.length) return Infinity;
  return expected.reduce(
    (most, value, index) => Math.max(most, value === actual[index] ? 0 : Math.abs(actual[index]! - value)),
    0,
  );
}

function relative(actual: readonly number[], expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  return Math.max(
    ...Array.from(
      expected,
      (value, index) => value === actual[index] ? 0 : Math.abs(actual[index]! - value) / Math.abs(value),
    ),
  );
}
