import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { rowParts, scoreParts } from "../../../models/pixart/row_parts.ts";

Deno.test("rowParts() splits pictures of 512 and 1024 pixels into parts of 256 rows, on few threads", () => {
  assert.equal(rowParts(256, 2), 1);
  assert.equal(rowParts(1024, 2), 4);
  assert.equal(rowParts(4096, 2), 16);
  assert.equal(rowParts(4096, 16), 1);
  // 61 × 67 rows have no part of a useful size.
  assert.equal(rowParts(61 * 67, 2), 1);
});

Deno.test("rowParts() divides the rows into parts that are not small", () => {
  fc.assert(fc.property(fc.nat(2 ** 14), fc.integer({ min: 1, max: 64 }), (rows, threads) => {
    const parts = rowParts(rows + 1, threads);
    assert.equal((rows + 1) % parts, 0);
    assert(parts === 1 || (rows + 1) / parts >= 256);
  }));
});

Deno.test("scoreParts() gives each thread a head, and divides heads and queries", () => {
  assert.deepEqual(scoreParts(4096, 16, 2), [8, 32]);
  assert.deepEqual(scoreParts(1024, 16, 4), [4, 2]);
  assert.deepEqual(scoreParts(1024, 16, 1), [16, 2]);
  fc.assert(
    fc.property(
      fc.nat(2 ** 13),
      fc.integer({ min: 1, max: 32 }),
      fc.integer({ min: 1, max: 64 }),
      (...given) => {
        const [rows, heads, threads] = given;
        const [groups, parts] = scoreParts(rows + 1, heads, threads);
        assert.deepEqual([(rows + 1) % parts, heads % groups], [0, 0]);
      },
    ),
  );
});
