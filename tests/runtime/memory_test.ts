import assert from "node:assert/strict";
import { memoryFigures, resetPeakMemory } from "../../runtime/memory.ts";
import { LINUX, needing } from "../needing.ts";

const MEGABYTE = 1 << 20;

Deno.test("memoryFigures() includes allocated memory", () => {
  const before = memoryFigures();
  const taken = new Uint8Array(64 * MEGABYTE).fill(1);
  const after = memoryFigures();
  assert(after.resident - before.resident > 48 * MEGABYTE, `${before.resident} → ${after.resident}`);
  assert(after.peak! >= after.resident);
  assert.equal(taken.at(-1), 1);
});

Deno.test(needing(LINUX, {
  name: "memoryFigures() distinguishes anonymous memory from mapped files",
  fn() {
    const { resident, anonymous, file } = memoryFigures();
    assert(anonymous! > 0 && file! > 0);
    assert(anonymous! + file! <= resident);
  },
}));

Deno.test(needing({ what: "a kernel that starts the peak anew", isThere: resetPeakMemory() }, {
  name: "resetPeakMemory() resets the peak to the resident memory",
  fn() {
    const { peak, resident } = memoryFigures();
    assert(peak! - resident < 16 * MEGABYTE, `${peak} and ${resident}`);
  },
}));
