import assert from "node:assert/strict";
import { join } from "node:path";
import { OnnxRuntimeNode } from "../../../runtime/onnxruntime_node.ts";
import { openCheckpoint } from "../../../models/checkpoint/checkpoint.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import { syntheticPreset } from "../../../models/architectures.ts";
import {
  cutShards,
  SyntheticFolderError,
  writeSyntheticCheckpoint,
} from "../../../models/synthetic/write_checkpoint.ts";
import { T5EncoderConfig } from "../../../models/t5/encoder_config.ts";
import { T5Encoder } from "../../../models/t5/encoder_runner.ts";
import { createTokenizer } from "../../../text/tokenizer.ts";

for (const dtype of ["float32", "float16", "bfloat16"] as const) {
  Deno.test(`writeSyntheticCheckpoint() writes a checkpoint that runs, in ${dtype}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await writeSyntheticCheckpoint(folder, { dtype, preset: "tiny" });
      const checkpoint = await openCheckpoint(await openDiskSource(folder));
      const { config, weights } = await checkpoint.component("text_encoder");
      const { ids } = createTokenizer(await checkpoint.tokenizer()).encode("a cute cat, 3 dogs", 120);
      assert(!ids.includes(2), "all words are known");
      await using encoder = await T5Encoder.open(
        new OnnxRuntimeNode(),
        T5EncoderConfig.parse(config),
        await weights(),
      );
      const { data } = await encoder.encode(ids);
      const mean = data.reduce((sum, value) => sum + value ** 2, 0) / data.length;
      assert(mean > 0.2 && mean < 5, `mean square is ${mean}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("the full-size preset has the tensors of PixArt-XL-2-1024-MS, in two shards", () => {
  const [t5, transformer, vae] = syntheticPreset("xl-1024", "float16").components;
  const count = (weights: readonly { shape: readonly number[] }[]): number =>
    weights.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  assert(t5 && transformer && vae);
  assert.deepEqual([t5.weights.length, count(t5.weights)], [219, 4762310656]);
  assert.deepEqual([transformer.weights.length, count(transformer.weights)], [611, 611349152]);
  assert.deepEqual([vae.weights.length, count(vae.weights)], [248, 83653863]);
  const shards = cutShards(t5.weights, t5.shardBytes!);
  assert.deepEqual(shards.map((shard) => 4 * count(shard)), [9989136384, 9060106240]);
  assert.equal(shards[1]?.[0]?.name, "encoder.block.12.layer.0.SelfAttention.o.weight");
});

Deno.test("writeSyntheticCheckpoint() overwrites a synthetic checkpoint, and leaves a folder with other content alone", async () => {
  const folder = await Deno.makeTempDir();
  const synthetic = join(folder, "synthetic");
  try {
    await writeSyntheticCheckpoint(synthetic, { preset: "tiny", dtype: "float16" });
    const written = await writeSyntheticCheckpoint(synthetic, { preset: "tiny", dtype: "float32" });
    await openCheckpoint(await openDiskSource(synthetic));
    assert(written > 1e6);

    // A downloaded checkpoint has the same files as a synthetic one, except for the mark.
    await Deno.rename(join(synthetic, "synthetic.json"), join(synthetic, "rehearsal.json"));
    await writeSyntheticCheckpoint(synthetic, { preset: "tiny", dtype: "float16" });
    for (const mark of ["synthetic.json", "rehearsal.json"]) await Deno.remove(join(synthetic, mark));
    await assert.rejects(writeSyntheticCheckpoint(synthetic, { preset: "tiny" }), SyntheticFolderError);
    await Deno.writeTextFile(join(folder, "thesis.txt"), "");
    await assert.rejects(writeSyntheticCheckpoint(folder, { preset: "tiny" }), SyntheticFolderError);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an aborted synthetic checkpoint is not a checkpoint, even if it was to replace another", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await writeSyntheticCheckpoint(folder, { preset: "tiny", dtype: "float16" });
    const stop = new AbortController();
    const stopped = writeSyntheticCheckpoint(folder, {
      preset: "tiny",
      signal: stop.signal,
      onFile: ({ path }) => path.startsWith("transformer") && stop.abort(new Error("stopped")),
    });
    await assert.rejects(stopped, /stopped/);
    await assert.rejects(Deno.stat(join(folder, "model_index.json")), Deno.errors.NotFound);
    await writeSyntheticCheckpoint(folder, { preset: "tiny" });
    await openCheckpoint(await openDiskSource(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
