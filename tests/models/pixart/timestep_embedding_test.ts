import assert from "node:assert/strict";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { timestepEmbedding } from "../../../models/pixart/timestep_embedding.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";
import { assertNear } from "../tiny_checkpoints.ts";

interface Units {
  timestep_embedding: { values: number[]; dim: number; flip_sin_to_cos: boolean; tensor: string }[];
}

const units = goldenJson<Units>("units/embeddings.json");
const { tensors } = await readSafetensorsFile(goldenPath("units/embeddings.safetensors"));

Deno.test("timestepEmbedding() matches the reference for timesteps, sizes and aspect ratios", () => {
  const entries = units.timestep_embedding.filter(({ dim }) => dim === 256);
  assert.equal(entries.length, 3);
  for (const { values, tensor } of entries) {
    const embedded = timestepEmbedding(values);
    assert.deepEqual(embedded.shape, [values.length, 256]);
    assertNear(embedded.data, tensors[tensor]!.data as Float32Array, { maxAbs: 1e-4 }, tensor);
  }
});
