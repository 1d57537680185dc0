import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { deviceSchema, deviceTraits, missingDevice, providerOf } from "../../runtime/device.ts";

Deno.test("a device is a provider or one of several NVIDIA GPUs", () => {
  assert.equal(deviceSchema.parse("cuda:01"), "cuda:1");
  assert.deepEqual(providerOf("cuda:1"), { provider: "cuda", index: 1 });
  assert.deepEqual(providerOf("cuda"), { provider: "cuda", index: 0 });
  assert.deepEqual(providerOf("webgpu"), { provider: "webgpu" });
  assert.equal(deviceTraits("cuda:7"), deviceTraits("cuda"));
  assert.deepEqual(providerOf(deviceSchema.parse("cuda-tf32:02")), { provider: "cuda-tf32", index: 2 });
  assert.notDeepEqual(deviceTraits("cuda-tf32").numerics, deviceTraits("cuda").numerics);
  fc.assert(fc.property(fc.nat(99), (index) => {
    assert.deepEqual(providerOf(deviceSchema.parse(`cuda:${index}`)), { provider: "cuda", index });
  }));
  for (
    const wrong of [
      "",
      "gpu",
      "cuda:",
      "cuda:-1",
      "cuda:1.5",
      "cuda:100",
      "cuda:x",
      "cuda-tf32:",
      "webgpu:0",
      "cpu:0",
      "CUDA",
    ]
  ) {
    assert(!deviceSchema.safeParse(wrong).success, wrong);
  }
});

Deno.test("the error for a missing GPU contains its number", () => {
  const message = "CUDA failure 101: invalid device ordinal ; GPU=7 ; hostname=box";
  assert.match(missingDevice("cuda:7", message)!.reason, /no NVIDIA GPU number 7/);
  assert.equal(missingDevice("cpu", message), undefined);
});

Deno.test("a process computes products on CUDA in float32 or TF32, but not both", () => {
  new OnnxRuntimeNode({ device: "cuda" });
  new OnnxRuntimeNode({ device: "cuda:1" });
  assert.throws(() => new OnnxRuntimeNode({ device: "cuda-tf32" }), {
    code: "device_unavailable",
    message: /already computes products on CUDA in float32/,
  });
  assert.equal(Deno.env.get("NVIDIA_TF32_OVERRIDE"), "0");
});
