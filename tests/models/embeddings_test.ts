import assert from "node:assert/strict";
import { fc } from "../random.ts";
import { readSafetensorsFile } from "../../artifacts/disk.ts";
import { positionEmbedding } from "../../models/pixart/position_embedding.ts";
import { positionBucket, positionBuckets } from "../../models/t5/position_buckets.ts";
import { timestepEmbedding } from "../../models/pixart/timestep_embedding.ts";
import { goldenJson, goldenPath } from "../goldens.ts";
import { assertNear, type Sample } from "./tiny_checkpoints.ts";

interface Units {
  tensors: Record<string, { shape: number[]; sample?: Sample }>;
  t5_relative_position_buckets: {
    relative_positions: [number, number];
    tables: { num_buckets: number; max_distance: number; bidirectional: boolean; tensor: string }[];
  };
  pos_embed: {
    embed_dim: number;
    height: number;
    width: number;
    base_size: number;
    interpolation_scale: number;
    tensor: string;
  }[];
  timestep_embedding: { values: number[]; dim: number; flip_sin_to_cos: boolean; tensor: string }[];
}

const units = goldenJson<Units>("units/embeddings.json");
const { tensors } = await readSafetensorsFile(goldenPath("units/embeddings.safetensors"));

Deno.test("positionBucket() matches the reference from -400 to 400", () => {
  const { relative_positions: [first], tables } = units.t5_relative_position_buckets;
  for (const table of tables.filter(({ bidirectional }) => bidirectional)) {
    const options = { buckets: table.num_buckets, maxDistance: table.max_distance };
    const golden = [...tensors[table.tensor]!.data as Int32Array];
    assert.deepEqual(golden.map((_, i) => positionBucket(first + i, options)), golden, table.tensor);
  }
});

Deno.test("positionBuckets() holds the bucket of key less query", () => {
  const options = { buckets: 32, maxDistance: 128 };
  fc.assert(fc.property(fc.integer({ min: 1, max: 60 }), (tokens) => {
    const { shape, data } = positionBuckets(tokens, options);
    assert.deepEqual(shape, [tokens, tokens]);
    for (let i = 0; i < data.length; i++) {
      assert.equal(data[i], positionBucket(i % tokens - Math.floor(i / tokens), options));
    }
  }));
});

Deno.test("positionEmbedding() matches the reference for nine grids", () => {
  for (const entry of units.pos_embed) {
    const { shape, data } = positionEmbedding(entry.height, entry.width, {
      width: entry.embed_dim,
      baseSize: entry.base_size,
      interpolationScale: entry.interpolation_scale,
    });
    const { shape: goldenShape, sample } = units.tensors[entry.tensor]!;
    assert.deepEqual(shape, goldenShape);
    assertNear(data, tensors[entry.tensor]!.data as Float32Array, { maxAbs: 5e-6 }, entry.tensor, sample);
  }
});

Deno.test("positionEmbedding() refuses a width that sines and cosines of two axes cannot share", () => {
  assert.throws(
    () => positionEmbedding(2, 2, { width: 6, baseSize: 2, interpolationScale: 1 }),
    {
      code: "out_of_range",
      message: "Cannot embed positions as width must be a multiple of 4: current value is 6",
    },
  );
});

Deno.test("timestepEmbedding() matches the reference for timesteps, sizes and aspect ratios", () => {
  const entries = units.timestep_embedding.filter(({ dim }) => dim === 256);
  assert.equal(entries.length, 3);
  for (const { values, tensor } of entries) {
    const embedded = timestepEmbedding(values);
    assert.deepEqual(embedded.shape, [values.length, 256]);
    assertNear(embedded.data, tensors[tensor]!.data as Float32Array, { maxAbs: 1e-4 }, tensor);
  }
});
