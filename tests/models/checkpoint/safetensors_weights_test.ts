import assert from "node:assert/strict";
import { copyFile, rename, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { type Component, openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import type { ComponentName } from "../../../models/checkpoint/model_index.ts";
import { testOnVariants, tinyCheckpoint, withCopy, withFolder } from "./copies.ts";

async function openPart(path: string, component: ComponentName, variant?: string): Promise<Component> {
  return await openComponent(await openDiskSource(path), { component, ...(variant ? { variant } : {}) });
}

/** Rewrites the index of the sharded text encoder. */
async function editIndex(copy: string, edit: (map: Record<string, string>) => void): Promise<void> {
  const path = join(copy, "model.safetensors.index.json");
  const index = JSON.parse(await Deno.readTextFile(path));
  edit(index.weight_map);
  await Deno.writeTextFile(path, JSON.stringify(index));
}

const SHARDED = tinyCheckpoint("tiny-alpha-1024/text_encoder");

Deno.test("weights of one file: names, locations and values", async () => {
  const path = tinyCheckpoint("tiny-alpha-512/transformer");
  const weights = await (await openPart(path, "transformer")).weights();
  const where = weights.locate("pos_embed.proj.weight", [48, 4, 2, 2]);
  assert.equal(where.folder, await Deno.realPath(path));
  assert.equal(where.file, "diffusion_pytorch_model.safetensors");
  assert.equal(where.length, 48 * 4 * 2 * 2 * 4);
  const read = await weights.read("pos_embed.proj.weight");
  const file = await Deno.readFile(join(where.folder, where.file));
  const bytes = file.slice(where.offset, where.offset + where.length);
  assert.equal(read.dtype, "float32");
  assert.deepEqual(read.data, new Float32Array(bytes.buffer));
});

testOnVariants("weights of shards: the tensors that the plain and the fp16 index list", async () => {
  const plain = await (await openPart(SHARDED, "text_encoder")).weights();
  const half = await (await openPart(SHARDED, "text_encoder", "fp16")).weights();
  assert.deepEqual([...plain.names].sort(), [...half.names].sort());
  for (const name of plain.names) {
    const [a, b] = [plain.locate(name), half.locate(name, plain.locate(name).shape)];
    assert.equal(a.dtype, "float32");
    assert.equal(b.dtype, "float16");
    assert.match(b.file, /^model\.fp16-0000\d-of-00003\.safetensors$/);
  }
  const bfloat = await (await openPart(tinyCheckpoint("tiny-sigma"), "text_encoder")).weights();
  assert.equal((await bfloat.read("shared.weight")).dtype, "bfloat16");
});

Deno.test("weights of shards: names of variants in earlier versions of diffusers", async () => {
  await withCopy(tinyCheckpoint("tiny-sigma/transformer"), async (copy) => {
    const path = join(copy, "diffusion_pytorch_model.safetensors.index.json");
    const index = JSON.parse(await Deno.readTextFile(path));
    for (const [name, file] of Object.entries<string>(index.weight_map)) {
      index.weight_map[name] = file.replace(".safetensors", ".fp16.safetensors");
    }
    for (let i = 1; i <= 4; i++) {
      const shard = join(copy, `diffusion_pytorch_model-0000${i}-of-00004`);
      await rename(`${shard}.safetensors`, `${shard}.fp16.safetensors`);
    }
    await rm(path);
    await Deno.writeTextFile(
      join(copy, "diffusion_pytorch_model.safetensors.fp16.index.json"),
      JSON.stringify(index),
    );
    assert.ok((await (await openPart(copy, "transformer", "fp16")).weights()).has("pos_embed.proj.bias"));
    await assert.rejects((await openPart(copy, "transformer")).weights(), {
      name: "MissingVariantError",
      message: /available are fp16\. Choose one of these/,
    });
    await rm(join(copy, "diffusion_pytorch_model.safetensors.fp16.index.json"));
    await assert.rejects((await openPart(copy, "transformer", "fp16")).weights(), {
      name: "CheckpointError",
      message:
        /the variant fp16 of the weights in transformer because the index .*\.index\.fp16\.json of the shards is missing: there are .*00001-of-00004/,
    });
  });
});

testOnVariants(
  "a missing tensor is reported with the nearest names, a wrong shape with both shapes",
  async () => {
    const weights = await (await openPart(SHARDED, "text_encoder")).weights();
    assert.throws(() => weights.locate("encoder.block.0.layer.0.SelfAttention.w.weight"), {
      name: "MissingWeightError",
      message: /SelfAttention.w.weight among .*: the nearest names are encoder.block.0.layer.0.SelfAttention/,
    });
    await assert.rejects(weights.read("toString"), { name: "MissingWeightError" });
    assert.throws(() => weights.locate("shared.weight", [900, 41]), {
      name: "WeightShapeError",
      message: /must be \[900,41\] according to the configuration, but is \[928,40\]/,
    });
  },
);

testOnVariants("a wrong index is rejected", async (t) => {
  const name = "encoder.block.0.layer.0.SelfAttention.k.weight";
  await t.step("a shard is missing", async () => {
    await withCopy(SHARDED, async (copy) => {
      await rm(join(copy, "model-00002-of-00005.safetensors"));
      await assert.rejects((await openPart(copy, "text_encoder")).weights(), {
        name: "CheckpointError",
        message: /names files that are missing, model-00002-of-00005.safetensors/,
      });
    });
  });
  await t.step("a tensor is in another shard", async () => {
    await withCopy(SHARDED, async (copy) => {
      await editIndex(copy, (map) => map[name] = "model-00004-of-00005.safetensors");
      await assert.rejects((await openPart(copy, "text_encoder")).weights(), {
        message: /says that encoder.* is in model-00004.*, but it is in model-00002/,
      });
    });
  });
  await t.step("a tensor is in no file", async () => {
    await withCopy(SHARDED, async (copy) => {
      await editIndex(copy, (map) => map["no.such.weight"] = "model-00004-of-00005.safetensors");
      await assert.rejects((await openPart(copy, "text_encoder")).weights(), {
        message: /none of the files/,
      });
    });
  });
  await t.step("a tensor is in two shards", async () => {
    await withCopy(SHARDED, async (copy) => {
      await copyFile(join(copy, "model-00001-of-00005.safetensors"), join(copy, "model-x.safetensors"));
      await editIndex(copy, (map) => map["other"] = "model-x.safetensors");
      await assert.rejects((await openPart(copy, "text_encoder")).weights(), {
        message: /must be in one file/,
      });
    });
  });
  await t.step("a shard outside the folder", async () => {
    await withCopy(SHARDED, async (copy) => {
      await editIndex(copy, (map) => map[name] = "../../secret.safetensors");
      await assert.rejects((await openPart(copy, "text_encoder")).weights(), {
        message: /must name a safetensors/,
      });
    });
  });
  await t.step("not JSON", async () => {
    await withCopy(SHARDED, async (copy) => {
      await Deno.writeTextFile(join(copy, "model.safetensors.index.json"), "{");
      await assert.rejects((await openPart(copy, "text_encoder")).weights(), { name: "CheckpointError" });
    });
  });
});

testOnVariants("a truncated shard is rejected with its expected and actual size", async () => {
  await withCopy(SHARDED, async (copy) => {
    await truncate(join(copy, "model-00003-of-00005.safetensors"), 30000);
    await assert.rejects((await openPart(copy, "text_encoder")).weights(), {
      name: "SafetensorsError",
      message: /model-00003-of-00005.safetensors.* file size must be the 39256 bytes .*; found 30000/,
    });
  });
});

Deno.test("pickled weights, Git LFS pointers and empty folders are rejected with advice", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "config.json"), `{"_class_name": "AutoencoderKL"}`);
    const vae = await openPart(folder, "vae");
    await assert.rejects(vae.weights(), {
      name: "CheckpointError",
      message: /but contains config.json/,
    });
    await Deno.writeTextFile(join(folder, "diffusion_pytorch_model.bin"), "");
    await assert.rejects(vae.weights(), { message: /must be safetensors .*diffusion_pytorch_model.bin/ });
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n";
    await Deno.writeTextFile(join(folder, "diffusion_pytorch_model.safetensors"), pointer);
    await assert.rejects(vae.weights(), { message: /Git LFS pointer of 64 bytes .*git lfs pull/ });
  });
});
