import assert from "node:assert/strict";
import { checkPrecision, precisionOf, PRECISIONS } from "../../models/precision.ts";

Deno.test("checkPrecision() rejects float16 if a device lacks it, and nothing else", () => {
  const cpu = { device: "cpu", traits: { hostMemory: true, float16: false } as const };
  const gpu = { device: "webgpu", traits: { hostMemory: false, float16: "weights" } as const };
  assert.throws(() => checkPrecision("float16", cpu), /Cannot compute in float16 on cpu/);
  for (const precision of PRECISIONS) checkPrecision(precision, gpu);
  for (const precision of PRECISIONS.filter((one) => one !== "float16")) checkPrecision(precision, cpu);
});

Deno.test("precisionOf() prefers a stage's own precision, and keeps text encoders in float32 if all stages use float16", () => {
  assert.equal(precisionOf("denoise", { "*": "float16" }), "float16");
  assert.equal(precisionOf("encode", { "*": "float16" }), "float32");
  assert.equal(precisionOf("encode", { "*": "int8" }), "int8");
  assert.equal(precisionOf("encode", { encode: "int4", "*": "float16" }), "int4");
  assert.equal(precisionOf("encode", {}), undefined);
});
