import assert from "node:assert/strict";
import { parsePrecision, parseResidency } from "../../cli/per_stage_option.ts";

Deno.test("parseResidency() accepts one residency for all stages, one per stage, and both", () => {
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

Deno.test("parsePrecision() accepts one precision for all stages, or one per stage", () => {
  assert.deepEqual(parsePrecision("int8"), { "*": "int8" });
  assert.deepEqual(parsePrecision("float16"), { "*": "float16" });
  assert.deepEqual(parsePrecision("encode=int8,denoise=float32"), { encode: "int8", denoise: "float32" });
  assert.throws(() => parsePrecision("float64"), { code: "invalid_value" });
  assert.throws(() => parsePrecision("encode=float16"), {
    code: "invalid_value",
    message: /^Cannot encode in float16/,
  });
  assert.deepEqual(parsePrecision("int8,decode=float16"), { "*": "int8", decode: "float16" });
  for (const quantized of ["int8-blocks", "int8", "int4-lowrank", "int4"]) {
    assert.throws(() => parsePrecision(`denoise=int8,decode=${quantized}`), {
      code: "invalid_value",
      message: /^Cannot decode in int.*: choose float32 or float16/,
    });
  }
});
