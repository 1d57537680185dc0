import assert from "node:assert/strict";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, openCheckpoint } from "../../../models/checkpoint/checkpoint.ts";
import { CheckpointError } from "../../../models/checkpoint/checkpoint_errors.ts";
import { openComponent } from "../../../models/checkpoint/component.ts";
import { openDiskSource } from "../../../models/checkpoint/disk_source.ts";
import type { OpenCheckpointOptions } from "../../../models/checkpoint/checkpoint.ts";
import { atHand, testOnVariants, tinyCheckpoint, withCopy, withFolder } from "./copies.ts";

async function openFolder(path: string, options?: OpenCheckpointOptions): Promise<Checkpoint> {
  return await openCheckpoint(await openDiskSource(path), options);
}

Deno.test("openCheckpoint() opens every tiny pipeline and all of its parts", async () => {
  const families = {
    "tiny-alpha-512": "alpha",
    "tiny-alpha-1024": "alpha",
    "tiny-sigma": "sigma",
    "tiny-lcm": "alpha",
  };
  for (const [name, family] of atHand(families)) {
    const checkpoint = await openFolder(tinyCheckpoint(name));
    assert.equal(checkpoint.name, name);
    assert.equal(checkpoint.family, family);
    assert.deepEqual(checkpoint.components, ["transformer", "text_encoder", "vae"]);
    assert.deepEqual(checkpoint.defaults, {});
    for (const part of checkpoint.components) {
      const component = await checkpoint.component(part);
      assert.equal(component.name, `${name}/${part}`);
      const weights = await component.weights();
      assert.ok(weights.names.length > 10, `${component.name} has few tensors`);
    }
    const scheduler = await checkpoint.scheduler();
    assert.equal(scheduler.className, scheduler.config._class_name);
  }
});

Deno.test("openCheckpoint() keeps the class name of old checkpoints", async () => {
  const transformer = await (await openFolder(tinyCheckpoint("tiny-lcm"))).component("transformer");
  assert.equal(transformer.className, "Transformer2DModel");
  assert.equal(transformer.config.sample_size, 128);
});

Deno.test("scheduler() reads the bare -Infinity of scheduler_config.json", async () => {
  const { className, config } = await (await openFolder(tinyCheckpoint("tiny-sigma"))).scheduler();
  assert.equal(className, "DPMSolverMultistepScheduler");
  assert.equal(config.lambda_min_clipped, -Infinity);
});

Deno.test("tokenizer() reads the files that exist", async () => {
  const expected = {
    "tiny-alpha-512": ["spieceModel", "tokenizerConfig", "tokenizerJson"],
    "tiny-alpha-1024": ["addedTokens", "specialTokensMap", "spieceModel", "tokenizerConfig"],
    "tiny-sigma": ["tokenizerConfig", "tokenizerJson"],
  };
  for (const [name, keys] of atHand(expected)) {
    const files = await (await openFolder(tinyCheckpoint(name))).tokenizer();
    assert.deepEqual(Object.keys(files).sort(), keys);
    if (files.spieceModel !== undefined) assert.equal(files.spieceModel.length, 250907);
  }
});

Deno.test("openCheckpoint() opens a checkpoint that lacks components, and fails only when they are requested", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    for (const part of ["text_encoder", "transformer", "tokenizer", "scheduler"]) {
      await rm(join(copy, part), { recursive: true });
    }
    const checkpoint = await openFolder(copy);
    assert.deepEqual(checkpoint.components, ["vae"]);
    assert.equal((await checkpoint.component("vae")).className, "AutoencoderKL");
    await assert.rejects(checkpoint.component("text_encoder"), {
      name: "MissingComponentError",
      message: /text_encoder of tiny-alpha-512 because text_encoder\/config.json is missing/,
    });
    await assert.rejects(checkpoint.scheduler(), {
      name: "MissingComponentError",
      message: /scheduler_config/,
    });
    await assert.rejects(checkpoint.tokenizer(), { name: "MissingComponentError", message: /spiece.model/ });
  });
});

Deno.test("openCheckpoint() accepts null components and keys that are not components", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    const path = join(copy, "model_index.json");
    const index = JSON.parse(await Deno.readTextFile(path));
    await Deno.writeTextFile(
      path,
      JSON.stringify({ ...index, text_encoder: [null, null], force_zeros: true, _ignore_files: ["a", "b"] }),
    );
    assert.equal((await openFolder(copy)).family, "alpha");
    await rm(join(copy, "text_encoder"), { recursive: true });
    const checkpoint = await openFolder(copy);
    assert.deepEqual(checkpoint.missing, []);
    await assert.rejects(checkpoint.component("text_encoder"), {
      name: "MissingComponentError",
      message:
        "Cannot open the text_encoder of tiny-alpha-512 because its model_index.json declares it absent. " +
        "Pass embeddings from a checkpoint that has one",
    });
  });
});

Deno.test("openCheckpoint() rejects other pipelines and names what it found", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    const path = join(copy, "model_index.json");
    const index = JSON.parse(await Deno.readTextFile(path));
    const open = async (change: Record<string, unknown>) => {
      await Deno.writeTextFile(path, JSON.stringify({ ...index, ...change }));
      return await openFolder(copy);
    };
    await assert.rejects(open({ _class_name: "StableDiffusionPipeline" }), {
      name: "UnsupportedArchitectureError",
      message: /is StableDiffusionPipeline, but must be one of PixArtAlphaPipeline, PixArtSigmaPipeline/,
    });
    await assert.rejects(open({ _class_name: "toString" }), { name: "UnsupportedArchitectureError" });
    await assert.rejects(open({ vae: ["diffusers", "AutoencoderDC"] }), {
      name: "UnsupportedArchitectureError",
      message: /class of vae is AutoencoderDC, but must be one of AutoencoderKL, AutoencoderTiny/,
    });
    await assert.rejects(open({ vae: "AutoencoderKL" }), { name: "CheckpointError", message: /vae/ });
    await Deno.writeTextFile(path, "{");
    await assert.rejects(openFolder(copy), {
      name: "CheckpointError",
      message: /tiny-alpha-512\/model_index.json as JSON: .*1:2/,
    });
  });
});

Deno.test("openDiskSource() says what a checkpoint folder must contain", async () => {
  const file = join(tinyCheckpoint("tiny-taesd"), "config.json");
  await assert.rejects(openDiskSource(file), {
    name: "CheckpointError",
    message: /tiny-taesd\/config.json because it is a file\. .*model_index.json/,
  });
  await assert.rejects(openDiskSource("/no/such/place"), {
    message: /\/no\/such\/place because it does not exist/,
  });
  await assert.rejects(openFolder(tinyCheckpoint("tiny-taesd")), {
    name: "CheckpointError",
    message: /must contain model_index.json and .*, but contains config.json .* It is a single component/,
  });
});

Deno.test("openCheckpoint() lists a few of many files, and names the checkpoints among the folders", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(openFolder(folder), { message: /, but contains nothing$/ });
    for (let i = 100; i < 1000; i++) await mkdir(join(folder, `other-${i}`));
    await assert.rejects(openFolder(folder), (error) => {
      assert(error instanceof CheckpointError);
      assert.match(error.message, /but contains other-100, (other-\d+, ){6}other-107 and 892 more$/);
      return true;
    });
    for (const name of ["b", "a"]) await symlink(tinyCheckpoint("tiny-alpha-512"), join(folder, name));
    await assert.rejects(openFolder(folder), {
      message: /and 894 more\. It is a folder of checkpoints: choose one of a and b$/,
    });
  });
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    await rm(join(copy, "tokenizer"), { recursive: true });
    await mkdir(join(copy, "tokenizer"));
    for (let i = 100; i < 1000; i++) {
      await writeFile(join(copy, `tokenizer/${i}.txt`), "");
      await writeFile(join(copy, `vae/${i}.bin`), "");
    }
    await rm(join(copy, "vae/diffusion_pytorch_model.safetensors"));
    const checkpoint = await openFolder(copy);
    const told = { message: /100\.\w+, .* and 892 more/ };
    await assert.rejects(checkpoint.tokenizer(), told);
    await assert.rejects((await checkpoint.component("vae")).weights(), told);
  });
});

testOnVariants("openCheckpoint() uses the variant of each component that has it", async () => {
  const checkpoint = await openFolder(tinyCheckpoint("tiny-alpha-1024"), { variant: "fp16" });
  for (const part of checkpoint.components) {
    const weights = await (await checkpoint.component(part)).weights();
    const first = weights.locate(weights.names[0] ?? "");
    assert.equal(first.dtype, "float16");
    assert.match(first.file, /\.fp16[.-]/);
  }
  await withCopy(tinyCheckpoint("tiny-alpha-1024"), async (copy) => {
    await rm(join(copy, "transformer/diffusion_pytorch_model.fp16.safetensors"));
    const transformer = await (await openFolder(copy, { variant: "fp16" })).component("transformer");
    assert.equal((await transformer.weights()).locate("pos_embed.proj.weight").dtype, "float32");
  });
});

testOnVariants("openCheckpoint() lists the variants that exist", async () => {
  const source = await openDiskSource(tinyCheckpoint("tiny-alpha-1024"));
  await assert.rejects(openCheckpoint(source, { variant: "bf16" }), {
    name: "MissingVariantError",
    message: /variant bf16 in tiny-alpha-1024: available variants are transformer: plain, fp16; /,
  });
  const vae = await openComponent(source, { variant: "bf16" });
  await assert.rejects(vae.weights(), {
    name: "MissingVariantError",
    message: /the variant bf16 .* tiny-alpha-1024\/vae: available are the plain weights, fp16/,
  });
});

Deno.test("openComponent() opens a separate VAE and that of a whole checkpoint", async () => {
  const bare = await openComponent(await openDiskSource(tinyCheckpoint("tiny-taesd")));
  assert.equal(bare.name, "tiny-taesd");
  assert.equal(bare.className, "AutoencoderTiny");
  assert.ok((await bare.weights()).has("decoder.layers.0.weight"));

  const part = await openComponent(await openDiskSource(tinyCheckpoint("tiny-sigma")));
  assert.equal(part.name, "tiny-sigma/vae");
  assert.equal(part.config.scaling_factor, 0.13025);

  const text = await openComponent(await openDiskSource(tinyCheckpoint("tiny-sigma/text_encoder")), {
    component: "text_encoder",
  });
  assert.equal(text.className, "T5EncoderModel");

  const wrong = openComponent(await openDiskSource(tinyCheckpoint("tiny-sigma/text_encoder")));
  await assert.rejects(wrong, {
    name: "UnsupportedArchitectureError",
    message: /is T5EncoderModel, but must be one of/,
  });
});

Deno.test("pixstage.json sets the defaults of a run, and unknown settings are rejected", async () => {
  await withCopy(tinyCheckpoint("tiny-lcm"), async (copy) => {
    const path = join(copy, "pixstage.json");
    const settings = { steps: 4, guidanceScale: 0, scheduler: "LCMScheduler", schedulerOptions: { a: [1] } };
    await Deno.writeTextFile(path, JSON.stringify(settings));
    assert.deepEqual((await openFolder(copy)).defaults, settings);
    await Deno.writeTextFile(path, JSON.stringify({ step: 4 }));
    await assert.rejects(openFolder(copy), {
      name: "CheckpointError",
      message: /pixstage.json .*: step is not a known field$/,
    });
    await Deno.writeTextFile(path, JSON.stringify({ steps: 0 }));
    await assert.rejects(openFolder(copy), { name: "CheckpointError", message: /steps/ });
  });
});

testOnVariants("a variant can have its own settings", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-1024"), async (copy) => {
    await Deno.writeTextFile(join(copy, "pixstage.json"), JSON.stringify({ steps: 20 }));
    await Deno.writeTextFile(join(copy, "pixstage.fp16.json"), JSON.stringify({ steps: 4 }));
    const source = await openDiskSource(copy);
    assert.deepEqual((await openCheckpoint(source)).defaults, { steps: 20 });
    assert.deepEqual((await openCheckpoint(source, { variant: "fp16" })).defaults, { steps: 4 });
  });
});

Deno.test("a Hugging Face snapshot of links is read, and weights are located with links resolved", async () => {
  await withCopy(tinyCheckpoint("tiny-taesd"), async (copy) => {
    await withFolder(async (snapshot) => {
      const blob = join(copy, "diffusion_pytorch_model.safetensors");
      await symlink(join(copy, "config.json"), join(snapshot, "config.json"));
      await symlink(blob, join(snapshot, "model.safetensors"));
      const weights = await (await openComponent(await openDiskSource(snapshot))).weights();
      const where = weights.locate("decoder.layers.0.weight");
      assert.equal(where.folder, await Deno.realPath(copy));
      assert.equal(where.file, "diffusion_pytorch_model.safetensors");
      assert.equal((await weights.read("decoder.layers.0.weight")).data.length * 4, where.length);
    });
  });
});
