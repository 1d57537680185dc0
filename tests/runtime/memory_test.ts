import assert from "node:assert/strict";
import { memoryFigures, resetPeakMemory } from "../../runtime/memory.ts";
import { LINUX, needing } from "../needing.ts";
import { inOwnProcess } from "../own_process.ts";

const MEGABYTE = 1 << 20;

Deno.test(inOwnProcess(import.meta.url, {
  name: "memoryFigures() includes allocated memory",
  fn() {
    const before = memoryFigures();
    const taken = new Uint8Array(64 * MEGABYTE).fill(1);
    const after = memoryFigures();
    assert(after.resident - before.resident > 48 * MEGABYTE, `${before.resident} → ${after.resident}`);
    assert(after.peak! >= after.resident);
    assert.equal(taken.at(-1), 1);
  },
}));

Deno.test(needing(LINUX, {
  name: "memoryFigures() distinguishes anonymous memory from mapped files",
  fn() {
    const { resident, anonymous, file } = memoryFigures();
    assert(anonymous! > 0 && file! > 0);
    assert(anonymous! + file! <= resident);
  },
}));

const resetting = inOwnProcess(import.meta.url, {
  name: "resetPeakMemory() resets the peak to the resident memory",
  fn() {
    // Allocated and freed, so that the peak exceeds the resident memory before the reset.
    new Uint8Array(64 * MEGABYTE).fill(1).buffer.transfer(0);
    assert(memoryFigures().peak! - memoryFigures().resident > 48 * MEGABYTE);
    assert(resetPeakMemory());
    const { peak, resident } = memoryFigures();
    assert(peak! - resident < 16 * MEGABYTE, `${peak} and ${resident}`);
  },
});

Deno.test(needing({ what: "a kernel that restarts the peak", isThere: resetPeakMemory() }, resetting));
