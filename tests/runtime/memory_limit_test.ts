import assert from "node:assert/strict";
import { memoryLimit } from "../../runtime/memory_limit.ts";

Deno.test("memoryLimit() reads 0 as no limit, and negative amounts as free memory less that much", () => {
  assert.equal(memoryLimit(0, 8e9), undefined);
  assert.equal(memoryLimit(1.5e9, 8e9), 1.5e9);
  assert.equal(memoryLimit(-1e9, 8e9), 7e9);
  assert.equal(memoryLimit(-9e9, 8e9), 0);
});
