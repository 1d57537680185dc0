import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { listModels } from "../../hub/list_models.ts";
import { COMPONENT_NAMES } from "../../models/checkpoint/model_index.ts";
import { tinyCheckpoint, withFolder } from "../checkpoint/copies.ts";
import { describeModels } from "../../server/served_models.ts";
import { inFolder, runCli } from "../cli/run_cli.ts";
import { fetchModel, MODEL, withHub } from "./with_hub.ts";
import { commitOf, startHub } from "./hub_server.ts";

/** Bytes of all files below a folder. */
function bytesBelow(folder: string): number {
  return [...Deno.readDirSync(folder)].map((entry) => join(folder, entry.name))
    .map((path) => Deno.statSync(path).isDirectory ? bytesBelow(path) : Deno.statSync(path).size)
    .reduce((sum, size) => sum + size, 0);
}

Deno.test("listModels() lists the whole snapshots of the cache by branch or commit, with their sizes", async () => {
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

    const whole = { components: COMPONENT_NAMES, missing: [] };
    const found = (await listModels({ cacheDir })).filter(({ folder }) => folder.startsWith(cacheDir));
    assert.deepEqual(found, [
      { name: model, folder: main, bytes: bytesBelow(lcm), ...whole },
      { name: `${model}@refs/pr/1`, folder: branch, bytes: bytesBelow(sigma), ...whole },
      { name: `org/by-commit@${commit}`, folder: single, bytes: bytesBelow(sigma), ...whole },
    ]);
  });
  assert.ok(Array.isArray(await listModels({ cacheDir: "/no/such/folder" })));
});

Deno.test("models and the server tell which parts of a model are here", async () => {
  await withHub(async ({ cacheDir, resolve }) => {
    const folder = await resolve(MODEL, { components: ["vae"] });
    const [, found] = await listModels({ cacheDir });
    assert.deepEqual(found, {
      name: MODEL,
      folder,
      bytes: bytesBelow(folder),
      components: ["vae"],
      missing: ["transformer", "text_encoder"],
    });
    await inFolder(async (folder) => {
      const { stdout } = await runCli(folder, "models", "--cache-dir", cacheDir);
      assert.match(stdout, /weights here: vae; fetched when needed: transformer, text_encoder/);
      assert.equal(stdout.match(/weights here/g)?.length, 1, stdout);
    });

    const describe = async (model: string) => {
      const faults: string[] = [];
      const { models, decoders, transformers } = await describeModels(
        [{ name: "tiny", reference: model }],
        (_entry, error, isServed) => faults.push(`${isServed} ${(error as Error).message}`),
      );
      return { counts: [models.length, decoders.length, transformers.length], fault: faults.join() };
    };
    const before = Deno.env.get("HF_HUB_CACHE");
    Deno.env.set("HF_HUB_CACHE", cacheDir);
    try {
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
    } finally {
      before === undefined ? Deno.env.delete("HF_HUB_CACHE") : Deno.env.set("HF_HUB_CACHE", before);
    }
  });
});
