import assert from "node:assert/strict";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler } from "../../schedulers/mod.ts";
import RUNS from "./later_beginnings.json" with { type: "json" };
import { largestDifference } from "./scheduler_goldens.ts";

/** A run of the reference, written by make_later_beginnings.py. */
interface ReferenceRun {
  readonly name: string;
  readonly config: JsonObject;
  readonly steps: number;
  readonly begin: number;
  readonly timesteps: readonly number[];
  /** The clean sample with noise, then the sample after each call. */
  readonly samples: readonly (readonly number[])[];
  /** The clean sample with the noise of each timestep except the first, as added between the calls. */
  readonly noised: readonly (readonly number[])[];
}

const COUNT = 8;
const runs = RUNS as unknown as readonly ReferenceRun[];

function fractions(seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: COUNT }, (_, index) => ((index * 37 + seed * 101) % 64 - 31.5) / 16);
}

Deno.test(`a run can begin in the middle, from a clean sample: ${runs.length} runs of the reference`, () => {
  for (const { name, config, steps, begin, timesteps, samples, noised } of runs) {
    const what = `${name} ${JSON.stringify({ ...config, steps, begin })}`;
    const largest = Math.max(...samples.flat().map(Math.abs));
    const near = (actual: Float32Array, wanted: readonly number[], when: string) => {
      const deviation = largestDifference(actual, wanted) / largest;
      assert.ok(deviation <= 4e-5, `${what}: ${when} is off by ${deviation} of the largest value`);
    };
    const scheduler = createScheduler(name, config, { steps }, () => begin);
    scheduler.begin!(begin);
    assert.ok(largestDifference(scheduler.timesteps.slice(begin), timesteps) <= 0.01, what);
    let draws = 1000;
    const [clean, noise] = [fractions(0), fractions(500)];
    let sample = scheduler.addNoise(clean, noise, scheduler.timesteps[begin]!);
    near(sample, samples[0]!, "the beginning");
    for (const call of timesteps.keys()) {
      sample = scheduler.step(fractions(call + 1), begin + call, sample, () => fractions(draws++)).sample;
      near(sample, samples[call + 1]!, `call ${call}`);
      if (!noised[call]) continue;
      const next = scheduler.timesteps[begin + call + 1]!;
      near(scheduler.addNoise(clean, noise, next), noised[call], `the noise after call ${call}`);
    }
  }
});

Deno.test("a run can only begin before its first call, and only at an existing call", () => {
  const code = { code: "out_of_range" };
  const scheduler = createScheduler("euler", {}, { steps: 4 });
  for (const index of [-1, 4, 1.5]) assert.throws(() => scheduler.begin!(index), code);
  scheduler.begin!(2);
  assert.throws(() => scheduler.step(fractions(1), 0, fractions(0), fractions), code);
  scheduler.step(fractions(1), 2, fractions(0), fractions);
  assert.throws(() => scheduler.begin!(2), code);
  const pndm = createScheduler("pndm", { skip_prk_steps: false }, { steps: 8 });
  assert.throws(() => pndm.begin!(4), { code: "invalid_value" });
});
