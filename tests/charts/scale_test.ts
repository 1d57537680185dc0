import assert from "node:assert/strict";
import fc from "fast-check";
import { axisScale, BYTES, SECONDS } from "../../charts/scale.ts";

const labels = (...args: Parameters<typeof axisScale>): string[] =>
  axisScale(...args).ticks.map(({ label }) => label);

Deno.test("axes have round ticks in a unit that fits", () => {
  assert.deepEqual(labels(278e6, BYTES, { count: 5, rounds: true }), ["0", "100 MB", "200 MB", "300 MB"]);
  assert.deepEqual(labels(16.6e9, BYTES, { count: 4, rounds: true }), [
    "0",
    "5 GB",
    "10 GB",
    "15 GB",
    "20 GB",
  ]);
  assert.deepEqual(labels(217, SECONDS, { count: 5 }), ["0", "1 min", "2 min", "3 min"]);
  assert.deepEqual(labels(90, SECONDS, { count: 4 }), ["0", "30 s", "60 s", "90 s"]);
  assert.deepEqual(labels(0.35, SECONDS, { count: 4 }), ["0", "100 ms", "200 ms", "300 ms"]);
});

Deno.test("an axis of any length holds its largest value, and no more ticks than asked for", () => {
  fc.assert(fc.property(
    fc.double({ min: 1e-3, max: 1e14, noNaN: true }),
    fc.integer({ min: 1, max: 12 }),
    fc.constantFrom(BYTES, SECONDS),
    (largest, count, units) => {
      for (const rounds of [true, false]) {
        const { end, ticks } = axisScale(largest, units, { count, rounds });
        assert(end >= largest * (1 - 1e-9));
        assert(ticks.length <= count + 1);
        assert(ticks.every(({ value }) => value <= end * (1 + 1e-9)));
      }
    },
  ));
});
