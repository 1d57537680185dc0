import assert from "node:assert/strict";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { listModels } from "../../hub/list_models.ts";
import { COMPONENT_NAMES } from "../../models/checkpoint/model_index.ts";
import { withVariables } from "../environment.ts";
import { editTensors, tinyCheckpoint, withCopy, withFolder } from "../models/checkpoint/copies.ts";
import { describeModels } from "../../server/served_models.ts";
import { inFolder, runCli } from "../cli/run_cli.ts";
import { fetchModel, MODEL, withHub } from "./with_hub.ts";
import { commitOf, startHub } from "./hub_server.ts";

const TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors";
const VAE = "vae/diffusion_pytorch_model.safetensors";

/** Returns the size of all files in a folder, in bytes. */
function bytesBelow(folder: string): number {
  return [...Deno.readDirSync(folder)].map((entry) => join(folder, entry.name))
    .map((path) => Deno.statSync(path).isDirectory ? bytesBelow(path) : Deno.statSync(path).size)
    .reduce((sum, size) => sum + size, 0);
}

Deno.test("listModels() lists the complete snapshots in the cache by branch or commit, with their sizes", async () => {
  await withFolder(async (cacheDir) => {
    const model = "org-1/tiny-x";
    const [lcm, sigma] = [tinyCheckpoint("tiny-lcm"), tinyCheckpoint("tiny-sigma")];
    await using hub = startHub({
      models: {
        [model]: { main: lcm, "refs/pr/1": sigma },
        "org/by-commit": { main: sigma },
        "org/vae": { main: tinyCheckpoint("tiny-taesd") },
      },
    });
    const options = { endpoint: hub.endpoint, cacheDir };
    const commit = commitOf("org/by-commit", "main");
    const main = await fetchModel(model, options);
    const branch = await fetchModel(model, { ...options, revision: "refs/pr/1" });
    const single = await fetchModel("org/by-commit", { ...options, revision: commit });
    await fetchModel("org/vae", options);
    await mkdir(join(cacheDir, `models--org--torn/snapshots/${"0".repeat(40)}`), { recursive: true });

    const variants = { transformer: [""], text_encoder: [""], vae: [""] };
    const whole = { components: COMPONENT_NAMES, variants, missing: [], faults: [] };
    const found = (await listModels({ cacheDir })).filter(({ folder }) => folder.startsWith(cacheDir));
    assert.deepEqual(found, [
      { name: model, folder: main, bytes: bytesBelow(lcm), ...whole },
      { name: `${model}@refs/pr/1`, folder: branch, bytes: bytesBelow(sigma), ...whole },
      { name: `org/by-commit@${commit}`, folder: single, bytes: bytesBelow(sigma), ...whole },
    ]);
  });
  assert.ok(Array.isArray(await listModels({ cacheDir: "/no/such/folder" })));
});

/**
 * Returns the numbers of models, decoders and transformers that a server offers for one entry, and its
 * message.
 */
async function describe(reference: string): Promise<{ counts: number[]; fault: string }> {
  const faults: string[] = [];
  const { models, decoders, transformers } = await describeModels(
    [{ name: "tiny", reference }],
    (_entry, error, isServed) => faults.push(`${isServed} ${(error as Error).message}`),
  );
  return { counts: [models.length, decoders.length, transformers.length], fault: faults.join() };
}

Deno.test("models and the server list the available parts of a model", async () => {
  await withHub(async ({ cacheDir, resolve }) => {
    const folder = await resolve(MODEL, { components: ["vae"] });
    const [, found] = await listModels({ cacheDir });
    assert.deepEqual(found, {
      name: MODEL,
      folder,
      bytes: bytesBelow(folder),
      components: ["vae"],
      variants: { vae: [""] },
      missing: ["transformer", "text_encoder"],
      faults: [],
    });
    await inFolder(async (folder) => {
      const { stdout } = await runCli(folder, "models", "--cache-dir", cacheDir);
      assert.match(stdout, /weights: vae; downloaded when needed: transformer, text_encoder/);
      assert.equal(stdout.match(/weights: /g)?.length, 1, stdout);
    });

    using _variables = withVariables({ HF_HUB_CACHE: cacheDir });
    const vae = await describe(MODEL);
    assert.deepEqual(vae.counts, [0, 1, 0]);
    assert.match(
      vae.fault,
      /^true .*tiny .* weights of transformer, text_encoder: current value is vae\. /,
    );
    await resolve(MODEL, { components: ["transformer", "text_encoder"] });
    assert.deepEqual(await describe(MODEL), { counts: [1, 1, 1], fault: "" });
    for (const part of ["vae", "transformer"]) {
      await rm(join(folder, part, "diffusion_pytorch_model.safetensors"));
    }
    const text = await describe(MODEL);
    assert.deepEqual(text.counts, [0, 0, 0]);
    assert.match(text.fault, /^false .*weights of transformer, vae: current value is text_encoder\. /);
  });
});

Deno.test("models and the server offer nothing that a run would refuse", async (t) => {
  const faults: Readonly<Record<string, [damage: (copy: string) => Promise<void>, fault: RegExp]>> = {
    "a tensor of the text encoder is missing": [
      (copy) => without(join(copy, "text_encoder/model.safetensors"), "encoder.final_layer_norm.weight"),
      /Cannot find encoder\.final_layer_norm\.weight among the weights of .*text_encoder/,
    ],
    "a tensor of the transformer is missing": [
      (copy) => without(join(copy, TRANSFORMER), "transformer_blocks.1.attn2.to_v.bias"),
      /Cannot find transformer_blocks\.1\.attn2\.to_v\.bias among the weights of .*transformer/,
    ],
    "a tensor of the autoencoder is missing": [
      (copy) => without(join(copy, VAE), "decoder.conv_out.weight"),
      /Cannot find decoder\.conv_out\.weight among the weights of .*vae/,
    ],
    "a tensor has another shape": [
      (copy) => edit(copy, "text_encoder/config.json", (config) => ({ ...config, d_ff: 99 })),
      /shape must be \[99,/,
    ],
    "a configuration is not supported": [
      (copy) => edit(copy, "transformer/config.json", (config) => ({ ...config, norm_type: "layer_norm" })),
      /norm_type|layer_norm/,
    ],
    "the tokenizer cannot be read": [
      (copy) => Deno.writeTextFile(join(copy, "tokenizer/tokenizer.json"), "{"),
      /Cannot parse tokenizer\.json/,
    ],
    "the scheduler cannot be made": [
      (copy) => edit(copy, "scheduler/scheduler_config.json", (config) => ({ ...config, solver_order: 9 })),
      /solver_order/,
    ],
  };
  for (const [name, [damage, fault]] of Object.entries(faults)) {
    await t.step(name, async () => {
      await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
        await damage(copy);
        const served = await describe(copy);
        assert.equal(served.counts[0], 0);
        assert.match(served.fault, fault);
        await withHub(async ({ cacheDir, resolve }) => {
          await resolve();
          const [, found] = await listModels({ cacheDir });
          assert.equal(found?.faults.length, 1, found?.faults.join());
          assert.match(found.faults[0]!, fault);
        }, { models: { [MODEL]: { main: copy } } });
      });
    });
  }
});

Deno.test("models reports faults, and weights that are only available as a variant", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    await without(join(copy, VAE), "decoder.conv_out.weight");
    await rename(join(copy, TRANSFORMER), join(copy, TRANSFORMER.replace(".s", ".fp16.s")));
    await withHub(async ({ cacheDir, resolve }) => {
      await resolve(MODEL, { variant: "fp16" });
      await inFolder(async (folder) => {
        const { stdout } = await runCli(folder, "models", "--cache-dir", cacheDir);
        assert.match(stdout, /weights: transformer \(only fp16\), text_encoder, vae\n/);
        assert.match(stdout, /cannot be used: Cannot find decoder\.conv_out\.weight/);
      });
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("listModels() leaves out models of other architectures", async () => {
  await withFolder(async (cacheDir) => {
    const snapshot = join(cacheDir, `models--org--other/snapshots/${"1".repeat(40)}`);
    await mkdir(snapshot, { recursive: true });
    const index = { _class_name: "StableDiffusionPipeline", unet: ["diffusers", "UNet2DConditionModel"] };
    await Deno.writeTextFile(join(snapshot, "model_index.json"), JSON.stringify(index));
    assert.equal((await listModels({ cacheDir })).length, 1);
  });
});

/** Removes a tensor from a file. */
async function without(path: string, name: string): Promise<void> {
  await editTensors(path, ({ [name]: _gone, ...tensors }) => tensors);
}

/** Edits a configuration. */
async function edit(
  copy: string,
  file: string,
  change: (config: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const path = join(copy, file);
  const config = JSON.parse((await Deno.readTextFile(path)).replaceAll("-Infinity", "null"));
  await Deno.writeTextFile(path, JSON.stringify(change(config)));
}
