import assert from "node:assert/strict";
import { symmetricBetaQuantile } from "../../schedulers/beta_distribution.ts";
import { solveLinear } from "../../schedulers/linear_system.ts";
import { numpyLog32 } from "../../schedulers/numpy_log.ts";
import { countdown, interpolate, linspace, linspace32, roundHalfEven } from "../../schedulers/ranges.ts";
import { keepWithinBounds } from "../../schedulers/thresholding.ts";

Deno.test("symmetricBetaQuantile() matches scipy.stats.beta.ppf", () => {
  const quantiles: readonly [number, number][] = [
    [0, 0],
    [1e-12, 1.8558824624914097e-20],
    [0.001, 1.855873851745199e-05],
    [0.05, 0.012554456873611399],
    [0.25, 0.17568037865269498],
    [1 / 3, 0.2754132907776234],
    [0.5, 0.5],
    [0.75, 0.824319621347305],
    [0.999, 0.9999814412614826],
    [1, 1],
  ];
  for (const [probability, expected] of quantiles) {
    const relative = Math.abs(symmetricBetaQuantile(probability, 0.6) - expected) /
      Math.max(expected, 1e-300);
    assert.ok(relative <= 1e-13, `${probability} is off by ${relative}`);
  }
});

Deno.test("roundHalfEven() rounds halves to even integers", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 3.5, 2.4999, -0.5, 998.5].map(roundHalfEven), [0, 2, 2, 4, 2, 0, 998]);
});

Deno.test("linspace() and linspace32() include both ends", () => {
  assert.deepEqual(linspace(0, 999, 4), [0, 333, 666, 999]);
  assert.deepEqual(linspace(5, 9, 1), [5]);
  assert.deepEqual([...linspace32(0.25, 1, 4)], [0.25, 0.5, 0.75, 1]);
});

Deno.test("countdown() stops above 0", () => {
  assert.deepEqual(countdown(1000, 250), [1000, 750, 500, 250]);
  assert.deepEqual(countdown(10, 4), [10, 6, 2]);
});

Deno.test("interpolate() is constant outside the table", () => {
  const table = new Float32Array([1, 2, 4]);
  assert.deepEqual([-1, 0, 0.5, 1.5, 2, 7].map((index) => interpolate(table, index)), [1, 1, 1.5, 3, 4, 4]);
});

Deno.test("numpyLog32() is within two last bits of the logarithm", () => {
  assert.equal(numpyLog32(1), 0);
  assert.equal(numpyLog32(0), -Infinity);
  for (let x = 0.001; x < 5000; x = Math.fround(x * 1.01)) {
    const error = Math.abs(numpyLog32(Math.fround(x)) - Math.log(Math.fround(x)));
    assert.ok(error <= 2 ** -22 * Math.max(Math.abs(Math.log(x)), 2 ** -4), `log ${x} is off by ${error}`);
  }
});

Deno.test("solveLinear() swaps rows if it must", () => {
  assert.deepEqual(solveLinear([[0, 2], [4, 1]], [6, 11]), [2, 3]);
  assert.deepEqual(solveLinear([[1, 1, 1], [0, 1, 2], [0, 1, 4]], [6, 8, 14]), [1, 2, 3]);
});

Deno.test("keepWithinBounds() clips by a fixed bound or by a quantile, and leaves the rest alone", () => {
  const sample = (): Float32Array => new Float32Array([-4, -1, 0, 0.5, 3]);
  assert.deepEqual(keepWithinBounds(sample(), {}), sample());
  const clipping = { clip_sample: true, clip_sample_range: 2 };
  assert.deepEqual([...keepWithinBounds(sample(), clipping)], [-2, -1, 0, 0.5, 2]);
  const thresholding = { thresholding: true, dynamic_thresholding_ratio: 0.75, sample_max_value: 9 };
  assert.deepEqual(
    [...keepWithinBounds(sample(), thresholding)],
    [-1, -1 / 3, 0, 0.5 / 3, 1].map(Math.fround),
  );
});
