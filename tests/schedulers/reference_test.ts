import assert from "node:assert/strict";
import { alphasCumprod, type BetaConfig } from "../../schedulers/betas.ts";
import { createScheduler } from "../../schedulers/mod.ts";
import { allSchedulers } from "../../schedulers/catalogue.ts";
import {
  goldenFloats,
  GOLDENS,
  goldenScheduler,
  type GoldenTrace,
  goldenValues,
  hasTensor,
  largestDifference,
  largestRelativeDifference,
  recordedDraws,
} from "./scheduler_goldens.ts";

const SIGMA_LIMIT = 1e-6;
const FRACTIONAL_TIMESTEP_LIMIT = 0.01;
const TRACE_LIMIT = 4e-5;

Deno.test("alphasCumprod() matches the reference bit for bit, and within rounding under zero terminal SNR", async () => {
  for (const { config_of, tensor, indices, sha256_f32 } of GOLDENS.alphas_cumprod) {
    const entry = GOLDENS.configs[config_of]!;
    const config = allSchedulers().find(({ name }) => name === entry.class)!.parse(entry.config);
    const alphas = alphasCumprod(config as unknown as BetaConfig, {
      liftLast: entry.class !== "DDIMScheduler",
    });
    const expected = goldenValues(tensor);
    if (config.rescale_betas_zero_snr) {
      // The last bit of PyTorch's vectorized square root is sometimes wrong.
      checkSigmas(indices.map((index) => alphas[index]!), expected, config_of);
      continue;
    }
    assert.deepEqual(indices.map((index) => alphas[index]), expected, config_of);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", alphas as BufferSource));
    assert.equal(digest.toHex(), sha256_f32, config_of);
  }
});

Deno.test(`createScheduler() lays out ${GOLDENS.schedules.length} schedules like the reference`, () => {
  for (const golden of GOLDENS.schedules) {
    const spacing = golden.timestep_spacing;
    const scheduler = goldenScheduler(
      golden.config,
      { steps: golden.steps, ...(golden.config === "flow-euler-dynamic" ? { mu: 0.7 } : {}) },
      spacing ? { timestep_spacing: spacing } : {},
    );
    const what = `${golden.config} ${spacing} ${golden.steps}`;
    checkTimesteps(scheduler.timesteps, goldenValues(golden.timesteps), what);
    assert.equal(scheduler.sigmas !== undefined, golden.sigmas !== undefined, what);
    if (golden.sigmas) checkSigmas(scheduler.sigmas!, goldenValues(golden.sigmas), what);
    checkSigmas([scheduler.initNoiseSigma], [golden.init_noise_sigma ?? 1], what);
  }
});

Deno.test(`createScheduler() lays out ${GOLDENS.custom.length} custom schedules like the reference`, () => {
  for (const { id, class: name, config, set_timesteps, timesteps, sigmas } of GOLDENS.custom) {
    const scheduler = createScheduler(name, config, set_timesteps);
    checkTimesteps(scheduler.timesteps, goldenValues(timesteps), id);
    if (sigmas) checkSigmas(scheduler.sigmas!, goldenValues(sigmas), id);
  }
});

Deno.test(`step() follows ${GOLDENS.traces.length} recorded runs`, () => {
  for (const trace of GOLDENS.traces) {
    const deviation = traceDeviation(trace);
    assert.ok(deviation <= TRACE_LIMIT, `${trace.prefix}: ${deviation} of the largest value`);
  }
});

Deno.test("addNoise() matches the reference", () => {
  // The reference had no schedule set: its timesteps fall from 999 while its sigmas rise, so timestep t used
  // the sigma of timestep 999 - t.
  const scheduler = goldenScheduler("dpmpp-2m", { timesteps: [999, 999 - 437, 0] });
  const [x, noise, out] = ["x", "noise", "out"].map((name) => goldenFloats(`add_noise/${name}`));
  const size = out!.length / 3;
  for (const [index, timestep] of goldenValues("add_noise/timesteps").entries()) {
    const part = (values: Float32Array): Float32Array => values.slice(index * size, (index + 1) * size);
    const noisy = scheduler.addNoise(part(x!), part(noise!), 999 - timestep);
    assert.ok(largestDifference(noisy, part(out!)) <= 1e-6, `timestep ${timestep}`);
  }
});

/** Returns how far a run deviates from the recorded one, relative to its largest value. */
function traceDeviation(trace: GoldenTrace): number {
  const { prefix, steps, max_abs_sample: largest } = trace;
  const scheduler = goldenScheduler(trace.config, {
    steps,
    ...trace.step_kwargs,
    ...trace.set_timesteps_kwargs,
  });
  checkTimesteps(scheduler.timesteps, goldenValues(`${prefix}/timesteps`), prefix);
  assert.equal(scheduler.timesteps.length, trace.calls, prefix);
  const recorded = (name: string): Float32Array =>
    hasTensor(`${prefix}/${name}`) ? goldenFloats(`${prefix}/${name}`) : new Float32Array();
  const [outputs, samples, scaled, denoised] = ["model_outputs", "samples", "scaled_inputs", "denoised"].map(
    recorded,
  );
  const draw = recordedDraws(recorded("noise"));
  let sample = recorded("sample");
  const size = sample.length;
  let deviation = 0;
  const compare = (actual: Float32Array, all: Float32Array, call: number): void => {
    const difference = largestDifference(actual, all.subarray(call * size, (call + 1) * size));
    deviation = Math.max(deviation, difference / largest);
  };
  for (let call = 0; call < trace.calls; call++) {
    const input = scheduler.scaleModelInput(sample, call);
    if (scaled!.length) compare(input, scaled!, call);
    else assert.equal(input, sample, `${prefix} scales nothing`);
    const result = scheduler.step(outputs!.subarray(call * size, (call + 1) * size), call, sample, draw);
    sample = result.sample;
    compare(sample, samples!, call);
    if (denoised!.length) compare(result.predictedOriginal!, denoised!, call);
  }
  assert.equal(draw(1).length, 0, `${prefix} draws all of the noise`);
  return deviation;
}

function checkTimesteps(actual: readonly number[], expected: readonly number[], what: string): void {
  if (expected.every(Number.isInteger)) assert.deepEqual(actual, expected, what);
  else assert.ok(largestDifference(actual, expected) <= FRACTIONAL_TIMESTEP_LIMIT, what);
}

function checkSigmas(actual: readonly number[], expected: readonly number[], what: string): void {
  const difference = largestRelativeDifference(actual, expected);
  assert.ok(difference <= SIGMA_LIMIT, `${what}: sigmas differ by ${difference}`);
}
