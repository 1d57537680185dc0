import assert from "node:assert/strict";
import { defaultResidency } from "../../models/memory.ts";
import { decoderMemoryChoices } from "../../models/vae/memory.ts";
import type { RuntimeTraits } from "../../runtime/runtime.ts";
import { AutoencoderConfig } from "../../models/vae/autoencoder_config.ts";

Deno.test("large weights of layers stream on a CPU, or if each is read once; others stay in memory", () => {
  const cpu: RuntimeTraits = { hostMemory: true, float16: false };
  const gpu: RuntimeTraits = { hostMemory: false, float16: "weights" };
  assert.equal(defaultResidency(cpu, 9e9), "stream");
  assert.equal(defaultResidency(cpu, 1e8), "stage");
  assert.equal(defaultResidency(gpu, 9e9), "stage");
  assert.equal(defaultResidency(gpu, 9e9, true), "stream", "read once, they need not be held");
  const facts = { config: AutoencoderConfig.parse({ _class_name: "AutoencoderKL" }), weightBytes: 4e8 };
  const [whole] = decoderMemoryChoices(facts, { height: 64, width: 64, images: 1 }, {
    traits: cpu,
    tiling: "none",
  });
  assert.equal(whole?.residency, "stage");
});
