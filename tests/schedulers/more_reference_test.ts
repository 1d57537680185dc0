import assert from "node:assert/strict";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { createScheduler, type RunOptions } from "../../schedulers/mod.ts";
import RUNS from "./more_reference.json" with { type: "json" };
import { largestDifference, largestRelativeDifference } from "./scheduler_goldens.ts";

/** A run of the reference, written by make_more_reference.py. */
interface ReferenceRun {
  readonly name: string;
  readonly config: JsonObject;
  readonly run: RunOptions;
  readonly timesteps: readonly number[];
  readonly sigmas: readonly number[] | null;
  readonly samples: readonly (readonly number[])[];
}

const COUNT = 8;

Deno.test(`step() follows ${RUNS.length} more runs with options that the goldens leave out`, () => {
  for (
    const { name, config, run, timesteps, sigmas, samples } of RUNS as unknown as readonly ReferenceRun[]
  ) {
    const what = `${name} ${JSON.stringify({ ...config, ...run })}`;
    const scheduler = createScheduler(name, config, run);
    assert.ok(largestDifference(scheduler.timesteps, timesteps) <= 0.01, what);
    if (sigmas) assert.ok(largestRelativeDifference(scheduler.sigmas!, sigmas) <= 1e-6, what);
    let draws = 1000;
    const draw = (): Float32Array => fractions(draws++);
    let sample = fractions(0).map((value) => value * scheduler.initNoiseSigma);
    const largest = Math.max(...samples.flat().map(Math.abs));
    for (const [call, expected] of samples.entries()) {
      sample = scheduler.step(fractions(call + 1), call, sample, draw).sample as Float32Array<ArrayBuffer>;
      const deviation = largestDifference(sample, expected) / largest;
      assert.ok(deviation <= 4e-5, `${what}: call ${call} is off by ${deviation} of the largest value`);
    }
  }
});

function fractions(seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: COUNT }, (_, index) => ((index * 37 + seed * 101) % 64 - 31.5) / 16);
}
