import assert from "node:assert/strict";
import { formatMemory, memoryLimit, parseMemorySize } from "../../runtime/memory_size.ts";

Deno.test("parseMemorySize() reads stable-diffusion.cpp's grammar, with units", () => {
  const sizes: [string, number][] = [
    ["1.5GB", 1.5e9],
    ["2", 2e9],
    ["0", 0],
    ["-1", -1e9],
    ["-512 MiB", -(2 ** 29)],
    ["900mb", 9e8],
    ["2GiB", 2 ** 31],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseMemorySize(text), bytes, text);
  for (const wrong of ["", "GB", "1.5.0GB", "two", "1 TBB", "--1"]) {
    assert.throws(() => parseMemorySize(wrong), { code: "invalid_value" }, wrong);
  }
  assert.equal(memoryLimit(0, 8e9), undefined);
  assert.equal(memoryLimit(1.5e9, 8e9), 1.5e9);
  assert.equal(memoryLimit(-1e9, 8e9), 7e9);
  assert.equal(memoryLimit(-9e9, 8e9), 0);
});

Deno.test("formatMemory() writes gigabytes and megabytes", () => {
  assert.equal(formatMemory(1.5e9), "1.50 GB");
  assert.equal(formatMemory(9.996e8), "1000 MB");
});
