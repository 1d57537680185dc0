import assert from "node:assert/strict";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { positionEmbedding } from "../../../models/pixart/position_embedding.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";
import { assertNear, type Sample } from "../tiny_checkpoints.ts";

interface Units {
  tensors: Record<string, { shape: number[]; sample?: Sample }>;
  pos_embed: {
    embed_dim: number;
    height: number;
    width: number;
    base_size: number;
    interpolation_scale: number;
    tensor: string;
  }[];
}

const units = goldenJson<Units>("units/embeddings.json");
const { tensors } = await readSafetensorsFile(goldenPath("units/embeddings.safetensors"));

Deno.test("positionEmbedding() matches the reference for nine grids", () => {
  assert.equal(units.pos_embed.length, 9);
  for (const entry of units.pos_embed) {
    const { columns, rows } = positionEmbedding(entry.height, entry.width, {
      width: entry.embed_dim,
      baseSize: entry.base_size,
      interpolationScale: entry.interpolation_scale,
    });
    const { shape, sample } = units.tensors[entry.tensor]!;
    assert.deepEqual(shape, [entry.height * entry.width, entry.embed_dim]);
    const half = entry.embed_dim / 2;
    const data = Float32Array.from({ length: entry.height * entry.width * entry.embed_dim }, (_, i) => {
      const patch = Math.floor(i / entry.embed_dim);
      const value = i % entry.embed_dim;
      return value < half
        ? columns.data[(patch % entry.width) * half + value]!
        : rows.data[Math.floor(patch / entry.width) * half + value - half]!;
    });
    assertNear(data, tensors[entry.tensor]!.data as Float32Array, { maxAbs: 5e-6 }, entry.tensor, sample);
  }
});

Deno.test("positionEmbedding() rejects a width that sines and cosines of two axes cannot share", () => {
  assert.throws(
    () => positionEmbedding(2, 2, { width: 6, baseSize: 2, interpolationScale: 1 }),
    {
      code: "out_of_range",
      message: "The width of position embeddings must be a multiple of 4: current value is 6",
    },
  );
});
