import assert from "node:assert/strict";
import { diskSize, memorySize } from "../../pixstage/byte_size.ts";

/** Sizes with a unit, which all options parse in the same way. */
const SIZES: readonly (readonly [text: string, bytes: number])[] = [
  ["0B", 0],
  ["10B", 10],
  ["1kB", 1000],
  ["1KiB", 1024],
  ["500MB", 5e8],
  ["500m", 5e8],
  ["900mb", 9e8],
  ["512 MiB", 2 ** 29],
  ["1.5GB", 1.5e9],
  ["10G", 1e10],
  ["8Gi", 2 ** 33],
  ["2GiB", 2 ** 31],
  ["1.25TB", 1.25e12],
  [" 3TiB ", 3 * 2 ** 40],
];

Deno.test("sizes with a unit mean the same in all options", () => {
  for (const [text, bytes] of SIZES) {
    assert.equal(diskSize(text), bytes, text);
    assert.equal(memorySize(text), bytes, text);
  }
});

Deno.test("a bare number is in bytes on a disk, and in GB of memory", () => {
  assert.deepEqual(["0", "2", "1500"].map(diskSize), [0, 2, 1500]);
  assert.deepEqual(["0", "2", "1.5"].map(memorySize), [0, 2e9, 1.5e9]);
});

Deno.test("a negative memory limit leaves that much memory free", () => {
  assert.deepEqual(["-1", "-512 MiB", "-2GiB", "-0"].map(memorySize), [-1e9, -(2 ** 29), -(2 ** 31), 0]);
  assert.throws(() => diskSize("-1GB"), { code: "invalid_value" });
});

Deno.test("invalid sizes are refused", () => {
  for (
    const wrong of ["", "GB", "1.5.0GB", "two", "1 TBB", "--1", "1e9", "1,5GB", "1 G B", "9007199254740993B"]
  ) {
    assert.throws(() => diskSize(wrong), { code: "invalid_value" }, wrong);
    assert.throws(() => memorySize(wrong), { code: "invalid_value" }, wrong);
  }
});
