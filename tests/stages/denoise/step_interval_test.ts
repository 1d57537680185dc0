import assert from "node:assert/strict";
import { isWithin, stepIntervalSchema, stepsWithin } from "../../../stages/denoise/step_interval.ts";
import { fc } from "../../random.ts";

const share = fc.double({ min: 0, max: 1, noNaN: true });
const steps = fc.integer({ min: 1, max: 1000 });

Deno.test("consecutive intervals contain every step once", () => {
  fc.assert(fc.property(fc.array(share, { maxLength: 5 }), steps, (cuts, n) => {
    const borders = [0, ...cuts.toSorted((a, b) => a - b), 1];
    const ranges = borders.slice(1).map((end, index) => stepsWithin([borders[index]!, end], n));
    for (let step = 0; step < n; step++) {
      assert.equal(ranges.filter((range) => isWithin(range, step)).length, 1, `${borders}: step ${step}`);
    }
  }));
});

Deno.test("an interval contains the steps that diffusers' guiders enable", () => {
  const within = (interval: [number, number] | undefined, n: number): number[] => {
    const range = stepsWithin(interval, n);
    return Array.from({ length: n }, (_, step) => step).filter((step) => isWithin(range, step));
  };
  assert.deepEqual(within(undefined, 3), [0, 1, 2]);
  assert.deepEqual(within([0, 1], 3), [0, 1, 2]);
  assert.deepEqual(within([0.3, 1], 8), [2, 3, 4, 5, 6, 7]);
  assert.deepEqual(within([0.25, 0.75], 8), [2, 3, 4, 5]);
  assert.deepEqual(within([0.5, 0.5], 8), []);
  assert.deepEqual(within([0, 0.1], 8), []);
});

Deno.test("an interval that ends before it starts or exceeds 0 to 1 is refused", () => {
  for (const bad of [[0.6, 0.5], [-0.1, 1], [0, 1.1], [0], [0, 0.5, 1], [NaN, 1], ["0", 1], "0,1"]) {
    assert.equal(stepIntervalSchema.safeParse(bad).success, false, JSON.stringify(bad));
  }
});
