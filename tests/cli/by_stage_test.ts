import assert from "node:assert/strict";
import { parseResidency } from "../../cli/by_stage.ts";
import { defaultResidency } from "../../models/memory.ts";

Deno.test("parseResidency() reads one residency for all stages, one for each, and both", () => {
  assert.deepEqual(parseResidency("stream"), { "*": "stream" });
  assert.deepEqual(parseResidency("encode=stream, decode=resident"), {
    encode: "stream",
    decode: "resident",
  });
  assert.deepEqual(parseResidency("stage,denoise=stream"), { "*": "stage", denoise: "stream" });
  for (const wrong of ["", "disk", "encode=", "=stream", "stream,", "denois=stream"]) {
    assert.throws(() => parseResidency(wrong), { code: "invalid_value" }, wrong);
  }
});

Deno.test("large weights are streamed on a CPU, small ones are held", () => {
  assert.equal(defaultResidency("cpu", "encode", 9e9), "stream");
  assert.equal(defaultResidency("cpu", "encode", 1e8), "stage");
  assert.equal(defaultResidency("cpu", "decode", 4e8), "stage");
  assert.equal(defaultResidency("webgpu", "encode", 9e9), "stage");
});
