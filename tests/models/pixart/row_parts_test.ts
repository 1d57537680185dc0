import assert from "node:assert/strict";
import { fc } from "../../random.ts";
import { rowParts, scoreParts } from "../../../models/pixart/row_parts.ts";

Deno.test("rowParts() splits pictures of 512 and 1024 pixels into parts of 512 or 256 rows, on few threads", () => {
  assert.equal(rowParts(256, 2, "floats"), 1);
  assert.equal(rowParts(1024, 2, "floats"), 2);
  assert.equal(rowParts(1024, 2, "bytes"), 4);
  assert.equal(rowParts(4096, 2, "floats"), 8);
  assert.equal(rowParts(4096, 2, "bytes"), 16);
  assert.equal(rowParts(4096, 16, "bytes"), 1);
  // 61 × 67 rows have no part of a useful size.
  assert.equal(rowParts(61 * 67, 2, "floats"), 1);
});

Deno.test("rowParts() divides the rows into parts that are not small", () => {
  const multiplied = fc.constantFrom("floats" as const, "bytes" as const);
  fc.assert(
    fc.property(fc.nat(2 ** 14), fc.integer({ min: 1, max: 64 }), multiplied, (rows, threads, multiplies) => {
      const parts = rowParts(rows + 1, threads, multiplies);
      assert.equal((rows + 1) % parts, 0);
      assert(parts === 1 || (rows + 1) / parts >= 256);
    }),
  );
});

Deno.test("scoreParts() gives each thread a head, and divides heads and queries", () => {
  assert.deepEqual(scoreParts(4096, 16, 2, "bytes"), [8, 32]);
  assert.deepEqual(scoreParts(1024, 16, 4, "bytes"), [4, 2]);
  assert.deepEqual(scoreParts(1024, 16, 1, "bytes"), [16, 2]);
  assert.deepEqual(scoreParts(4096, 16, 2, "float32"), [8, 16]);
  assert.deepEqual(scoreParts(1024, 16, 2, "float32"), [8, 4]);
  fc.assert(
    fc.property(
      fc.nat(2 ** 13),
      fc.integer({ min: 1, max: 32 }),
      fc.integer({ min: 1, max: 64 }),
      fc.constantFrom("bytes" as const, "float32" as const),
      (...given) => {
        const [rows, heads, threads, weights] = given;
        const [groups, parts] = scoreParts(rows + 1, heads, threads, weights);
        if (groups > 0) assert.deepEqual([(rows + 1) % parts, heads % groups], [0, 0]);
        else assert.equal(rowParts(rows + 1, threads, "bytes"), 1);
      },
    ),
  );
});

Deno.test("scoreParts() leaves attention over few rows, and on many threads, in float32", () => {
  for (const weights of ["bytes", "float32"] as const) {
    assert.deepEqual(scoreParts(256, 16, 2, weights), [0, 0]);
    assert.deepEqual(scoreParts(4096, 16, 16, weights), [0, 0]);
  }
});
