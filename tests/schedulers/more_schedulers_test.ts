import assert from "node:assert/strict";
import { decodeSafetensors } from "../../artifacts/safetensors.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler } from "../../schedulers/mod.ts";
import { goldenJson, goldenPath } from "../goldens.ts";
import {
  type GoldenSchedule,
  type GoldenTrace,
  largestDifference,
  largestRelativeDifference,
  recordedDraws,
} from "./scheduler_goldens.ts";

const FOLDER = "extras/schedulers";
const SIGMA_LIMIT = 1e-6;
const FRACTIONAL_TIMESTEP_LIMIT = 0.01;

const { configs, schedules, traces } = goldenJson<{
  configs: Record<string, { class: string; config: JsonObject }>;
  schedules: GoldenSchedule[];
  traces: GoldenTrace[];
}>(`${FOLDER}/schedulers.json`);
const limits = new Map(
  goldenJson<{ traces: { trace: string; samples_max_abs_over_max: number }[] }>(
    `${FOLDER}/tolerances-units.json`,
  ).traces.map(({ trace, samples_max_abs_over_max }) => [trace, samples_max_abs_over_max]),
);
const { tensors } = decodeSafetensors(
  Deno.readFileSync(goldenPath(`${FOLDER}/schedulers.safetensors`)),
  "schedulers.safetensors",
);

/** Traces with arguments of `step` that no pipeline passes, so pixstage has no options for them. */
const OUT_OF_REACH = ["trace/lms-order-2/6", "trace/edm-euler-v-churn/6"];
/** Schedulers that define their own continuous noise levels instead of using PixArt's timesteps. */
const OF_OTHER_MODELS = /^EDM/;

Deno.test("createScheduler() lays out more schedules like the reference", () => {
  const known = schedules.filter(({ class: name }) => !OF_OTHER_MODELS.test(name));
  for (const { config, class: name, timestep_spacing: spacing, steps, ...golden } of known) {
    const what = `${config} ${spacing} ${steps}`;
    const scheduler = createScheduler(
      name,
      { ...configs[config]!.config, ...(spacing ? { timestep_spacing: spacing } : {}) },
      { steps },
    );
    checkTimesteps(scheduler.timesteps, values(golden.timesteps), what);
    // The reference has two more interleaved levels, which no call uses.
    if (golden.sigmas) {
      checkSigmas(scheduler.sigmas!, values(golden.sigmas).slice(0, scheduler.sigmas!.length), what);
    }
    checkSigmas([scheduler.initNoiseSigma], [golden.init_noise_sigma ?? 1], what);
  }
  assert.equal(known.length, 72);
});

Deno.test("step() follows recorded runs of more schedulers", () => {
  const known = traces.filter(({ class: name, prefix }) =>
    !OF_OTHER_MODELS.test(name) && !OUT_OF_REACH.includes(prefix)
  );
  for (const trace of known) {
    const deviation = traceDeviation(trace);
    assert.ok(deviation <= limits.get(trace.prefix)!, `${trace.prefix}: ${deviation} of the largest value`);
  }
  assert.equal(known.length, 26);
});

/** Returns how far a run deviates from the recorded one, relative to its largest value. */
function traceDeviation(
  { config, class: name, prefix, steps, calls, step_kwargs, max_abs_sample }: GoldenTrace,
): number {
  const scheduler = createScheduler(name, configs[config]!.config, { steps, ...step_kwargs });
  checkTimesteps(scheduler.timesteps, values(`${prefix}/timesteps`), prefix);
  const recorded = (part: string): Float32Array =>
    (tensors[`${prefix}/${part}`]?.data ?? new Float32Array()) as Float32Array;
  const [outputs, samples, scaled, denoised] = ["model_outputs", "samples", "scaled_inputs", "denoised"].map(
    recorded,
  );
  const draw = recordedDraws(recorded("noise"));
  let sample = recorded("sample");
  const size = sample.length;
  let deviation = 0;
  for (let call = 0; call < calls; call++) {
    const part = (all: Float32Array): Float32Array => all.subarray(call * size, (call + 1) * size);
    const compare = (actual: Float32Array, all: Float32Array): void => {
      if (all.length > 0) {
        deviation = Math.max(deviation, largestDifference(actual, part(all)) / max_abs_sample);
      }
    };
    compare(scheduler.scaleModelInput(sample, call), scaled!);
    const result = scheduler.step(part(outputs!), call, sample, draw);
    sample = result.sample;
    compare(sample, samples!);
    if (denoised!.length > 0) compare(result.predictedOriginal!, denoised!);
  }
  assert.equal(draw(1).length, 0, `${prefix} draws all of the noise`);
  return deviation;
}

function values(name: string): number[] {
  return Array.from(tensors[name]!.data as ArrayLike<number | bigint>, Number);
}

function checkTimesteps(actual: readonly number[], expected: readonly number[], what: string): void {
  if (expected.every(Number.isInteger)) assert.deepEqual(actual, expected, what);
  else assert.ok(largestDifference(actual, expected) <= FRACTIONAL_TIMESTEP_LIMIT, what);
}

function checkSigmas(actual: readonly number[], expected: readonly number[], what: string): void {
  const difference = largestRelativeDifference(actual, expected);
  assert.ok(difference <= SIGMA_LIMIT, `${what}: sigmas differ by ${difference}`);
}
