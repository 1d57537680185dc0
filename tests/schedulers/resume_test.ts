import assert from "node:assert/strict";
import { fc } from "../random.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import {
  createScheduler,
  type RunOptions,
  type Scheduler,
  type SchedulerState,
} from "../../schedulers/mod.ts";

const SIZE = 12;

/** Every scheduler, in each configuration with a different kind of memory. */
const VARIANTS: readonly (readonly [string, JsonObject, RunOptions?])[] = [
  ["DPMSolverMultistepScheduler", {}],
  ["DPMSolverMultistepScheduler", { solver_order: 3, algorithm_type: "sde-dpmsolver++" }],
  ["DPMSolverMultistepScheduler", { algorithm_type: "dpmsolver", final_sigmas_type: "sigma_min" }],
  ["DPMSolverMultistepScheduler", { prediction_type: "sample" }],
  ["DPMSolverSinglestepScheduler", {}],
  ["DPMSolverSinglestepScheduler", { solver_order: 3, algorithm_type: "sde-dpmsolver++" }],
  ["UniPCMultistepScheduler", { solver_order: 3 }],
  ["UniPCMultistepScheduler", { disable_corrector: [1], predict_x0: false, final_sigmas_type: "sigma_min" }],
  ["DEISMultistepScheduler", { solver_order: 3 }],
  ["EulerDiscreteScheduler", { use_karras_sigmas: true }],
  ["EulerAncestralDiscreteScheduler", {}],
  ["HeunDiscreteScheduler", {}],
  ["DDIMScheduler", {}, { eta: 0.7 }],
  ["DDPMScheduler", {}],
  ["PNDMScheduler", {}],
  ["PNDMScheduler", { skip_prk_steps: true }],
  ["LCMScheduler", {}],
  ["TCDScheduler", {}],
  ["TCDScheduler", {}, { eta: 0.6 }],
  ["LMSDiscreteScheduler", {}],
  ["SASolverScheduler", {}],
  ["SASolverScheduler", { predictor_order: 3, corrector_order: 4, algorithm_type: "noise_prediction" }],
  ["KDPM2DiscreteScheduler", { use_karras_sigmas: true }],
  ["KDPM2AncestralDiscreteScheduler", {}],
  ["FlowMatchEulerDiscreteScheduler", { stochastic_sampling: true }],
];

Deno.test("state() and restore() continue in another scheduler byte for byte", () => {
  const runs = fc.record({
    variant: fc.constantFrom(...VARIANTS),
    steps: fc.integer({ min: 4, max: 20 }),
    cut: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.integer(),
  });
  fc.assert(
    fc.property(runs, ({ variant: [name, config, extra], steps, cut, seed }) => {
      const create = (): Scheduler => createScheduler(name, config, { steps, ...extra });
      const whole = create();
      const count = whole.timesteps.length;
      const cutAt = Math.round(cut * count);
      const uninterrupted = walk(whole, 0, count, start(seed), seed);

      const first = create();
      const before = walk(first, 0, cutAt, start(seed), seed);
      const second = create();
      second.restore(written(first.state()));
      const resumed = walk(second, cutAt, count, before, seed);
      assert.deepEqual(new Uint8Array(resumed.buffer), new Uint8Array(uninterrupted.buffer));
    }),
    { numRuns: 300 },
  );
});

Deno.test("step() neither changes nor keeps its arguments", () => {
  for (const [name, config, extra] of VARIANTS) {
    const create = (): Scheduler => createScheduler(name, config, { steps: 6, ...extra });
    const [careful, careless] = [create(), create()];
    let [a, b] = [start(1), start(1)];
    for (const index of careful.timesteps.keys()) {
      const output = prediction(a, index, 1);
      const [usedOutput, usedSample] = [output.slice(), b.slice()];
      a = careful.step(output, index, a, noise(index, 1)).sample as Float32Array<ArrayBuffer>;
      b = careless.step(usedOutput, index, usedSample, noise(index, 1)).sample as Float32Array<ArrayBuffer>;
      assert.deepEqual(usedOutput, output, `${name} changes the model's output`);
      usedOutput.fill(NaN);
      usedSample.fill(NaN);
      assert.deepEqual(a, b, `${name} keeps what it is given`);
    }
  }
});

Deno.test("step() refuses calls out of order, arrays of other lengths and draws of another length", () => {
  const scheduler = createScheduler("euler_a", {}, { steps: 3 });
  const sample = start(1);
  assert.throws(
    () => scheduler.step(sample, 1, sample, noise(0, 1)),
    /^InputError: .*call 0 of 3 is next, but call 1 was given$/,
  );
  assert.throws(() => scheduler.step(sample.slice(1), 0, sample, noise(0, 1)), { code: "invalid_shape" });
  assert.throws(() => scheduler.step(sample, 0, sample, () => new Float32Array(1)), {
    code: "invalid_shape",
  });
  for (const index of [0, 1, 2]) scheduler.step(sample, index, sample, noise(0, 1));
  assert.throws(() => scheduler.step(sample, 3, sample, noise(0, 1)), { code: "out_of_range" });
});

Deno.test("restore() refuses the state of another scheduler or schedule", () => {
  const state = createScheduler("unipc", {}, { steps: 4 }).state();
  assert.throws(() => createScheduler("euler", {}, { steps: 4 }).restore(state), { code: "invalid_value" });
  assert.throws(() => createScheduler("unipc", {}, { steps: 5 }).restore(state), { code: "invalid_value" });
  const broken = { ...state, values: { ...state.values, calls: 9 } };
  assert.throws(() => createScheduler("unipc", {}, { steps: 4 }).restore(broken), { code: "invalid_value" });
});

Deno.test("step() uses the mean if the model's output also contains a variance", () => {
  const run = { steps: 2 };
  const [plain, learned] = [{}, { variance_type: "learned_range" }].map((config) =>
    createScheduler("dpm++2m", config, run)
  );
  const sample = start(1);
  const both = new Float32Array([...sample, ...start(2)]);
  assert.deepEqual(learned!.step(both, 0, sample, noise(0, 1)), plain!.step(sample, 0, sample, noise(0, 1)));
});

/** Returns a state after a round trip through a file. */
function written({ values, arrays }: SchedulerState): SchedulerState {
  return {
    values: JSON.parse(JSON.stringify(values)),
    arrays: Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.slice()])),
  };
}

function walk(
  scheduler: Scheduler,
  from: number,
  to: number,
  sample: Float32Array<ArrayBuffer>,
  seed: number,
): Float32Array<ArrayBuffer> {
  for (let index = from; index < to; index++) {
    const output = prediction(sample, index, seed);
    sample = scheduler.step(output, index, sample, noise(index, seed)).sample as Float32Array<ArrayBuffer>;
  }
  return sample;
}

function start(seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: SIZE }, (_, i) => Math.sin(seed + i) * 1.4);
}

function prediction(sample: Float32Array, index: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(sample, (value, i) => Math.tanh(value) + Math.cos(seed + index * SIZE + i) / 4);
}

function noise(index: number, seed: number): (count: number) => Float32Array {
  return (count) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(seed * 3 + index * SIZE + i * 7) * 1.4);
}
