import assert from "node:assert/strict";
import { memoryLimit } from "../../runtime/memory_limit.ts";

Deno.test("memoryLimit() treats 0 as no limit, and subtracts negative amounts from the free memory", () => {
  assert.equal(memoryLimit(0, 8e9), undefined);
  assert.equal(memoryLimit(1.5e9, 8e9), 1.5e9);
  assert.equal(memoryLimit(-1e9, 8e9), 7e9);
  assert.equal(memoryLimit(-9e9, 8e9), 0);
});
