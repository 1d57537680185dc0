import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { rowParts } from "../../../models/pixart/row_parts.ts";

Deno.test("rowParts() splits pictures of 512 and 1024 pixels into parts of 512 rows, on few threads", () => {
  assert.equal(rowParts(256, 2), 1);
  assert.equal(rowParts(1024, 2), 2);
  assert.equal(rowParts(4096, 2), 8);
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
