import assert from "node:assert/strict";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { positionBucket, positionBuckets } from "../../../models/t5/position_buckets.ts";
import { goldenJson, goldenPath } from "../../goldens.ts";
import { fc } from "../../random.ts";

interface Units {
  t5_relative_position_buckets: {
    relative_positions: [number, number];
    tables: { num_buckets: number; max_distance: number; bidirectional: boolean; tensor: string }[];
  };
}

const units = goldenJson<Units>("units/embeddings.json");
const { tensors } = await readSafetensorsFile(goldenPath("units/embeddings.safetensors"));

Deno.test("positionBucket() matches the reference from -400 to 400", () => {
  const { relative_positions: [first], tables } = units.t5_relative_position_buckets;
  const encoders = tables.filter(({ bidirectional }) => bidirectional);
  assert.equal(encoders.length, 3);
  for (const table of encoders) {
    const options = { buckets: table.num_buckets, maxDistance: table.max_distance };
    const golden = [...tensors[table.tensor]!.data as Int32Array];
    assert.deepEqual(golden.map((_, i) => positionBucket(first + i, options)), golden, table.tensor);
  }
});

Deno.test("positionBuckets() contains the bucket of key minus query", () => {
  const options = { buckets: 32, maxDistance: 128 };
  fc.assert(fc.property(fc.integer({ min: 1, max: 60 }), (tokens) => {
    const { shape, data } = positionBuckets(tokens, options);
    assert.deepEqual(shape, [tokens, tokens]);
    for (let i = 0; i < data.length; i++) {
      assert.equal(data[i], positionBucket(i % tokens - Math.floor(i / tokens), options));
    }
  }));
});
