import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DownloadProgress } from "../../hub/download.ts";
import { DEFAULT_MODEL, LocalModels, resolveModel } from "../../hub/local_models.ts";
import { openComponent } from "../../models/checkpoint/component.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { fingerprint } from "../../models/checkpoint/fingerprint.ts";
import { modelsOfRun } from "../../models/models_of_run.ts";
import { tinyCheckpoint, withCopy, withFolder } from "../models/checkpoint/copies.ts";
import { commitOf, halted } from "./hub_server.ts";
import {
  fileOf,
  filesOf,
  MODEL,
  models,
  questions,
  snapshot,
  TEXT,
  TINY,
  TRANSFORMER,
  VAE,
  weightsOf,
  whenBegun,
  withHub,
  withVariants,
} from "./with_hub.ts";

Deno.test("resolveModel() returns an existing folder unchanged, even if it is named like a model", async () => {
  await withFolder(async (folder) => {
    await mkdir(join(folder, "org/tiny"), { recursive: true });
    const before = Deno.cwd();
    try {
      Deno.chdir(folder);
      assert.equal(await resolveModel("org/tiny"), join(Deno.cwd(), "org/tiny"));
    } finally {
      Deno.chdir(before);
    }
  });
});

Deno.test("resolveModel() refuses references that are neither folders nor names", async () => {
  const file = join(tinyCheckpoint("tiny-taesd"), "config.json");
  for (
    const reference of ["", "./org/tiny", "/org/tiny", "a/b/c", "tiny", "../tiny", "a--b/c", "org/", file]
  ) {
    await assert.rejects(resolveModel(reference), {
      name: "InputError",
      message: /must be a folder on disk, or a name on the hub/,
    }, reference);
  }
  await assert.rejects(resolveModel("org/tiny", { revision: "../../x" }), {
    name: "InputError",
    message: /revision/,
  });
});

Deno.test("LocalModels refuses revisions of models that are not on the hub", async () => {
  const models = new LocalModels();
  for (const model of [DEFAULT_MODEL, tinyCheckpoint("tiny-taesd")]) {
    await assert.rejects(models.open({ model: `${model}@main` }), {
      name: "InputError",
      message: /Cannot open the revision "main" of the model .*: only models on the hub have revisions/,
    }, model);
  }
});

Deno.test("LocalModels opens a single component", async () => {
  await withHub(async ({ resolve }) => {
    const vae = await openComponent(await openDiskSource(await resolve()));
    assert.equal(vae.className, "AutoencoderTiny");
    assert.ok((await vae.weights()).names.length > 0);
  }, { models: { [MODEL]: { main: tinyCheckpoint("tiny-taesd") } } });
});

Deno.test("LocalModels opens components of a repository without a model index", async () => {
  await withCopy(TINY, async (copy) => {
    for (const file of ["model_index.json", "vae", "text_encoder", "tokenizer"]) {
      await rm(join(copy, file), { recursive: true });
    }
    await withHub(async (hub) => {
      const { source, weights } = await models(hub).component({ model: MODEL }, "transformer");
      assert.ok(await source.exists("scheduler/scheduler_config.json"));
      assert.ok((await weights()).names.length > 0);
      await assert.rejects(models(hub).component({ model: MODEL }, "vae"), {
        name: "MissingComponentError",
        message: /vae\/config.json is missing/,
      });
      await assert.rejects(models(hub).open({ model: MODEL }), { message: /must contain model_index.json/ });
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("LocalModels downloads only needed weights, when a component first needs them", async () => {
  await withHub(async (hub) => {
    const local = models(hub);
    const checkpoint = await local.open({ model: MODEL });
    assert.deepEqual(
      filesOf(snapshot(hub)),
      filesOf(TINY).filter((file) => !file.endsWith(".safetensors")),
    );
    await checkpoint.scheduler();
    await checkpoint.tokenizer();
    for (const name of checkpoint.components) await checkpoint.component(name);
    const vae = await local.component({ model: MODEL }, "vae");
    assert.deepEqual(weightsOf(snapshot(hub)), []);
    assert.equal((await vae.weights()).names.length > 0, true);
    assert.deepEqual(weightsOf(snapshot(hub)), [VAE]);
    assert.match(await fingerprint(await checkpoint.component("transformer")), /^[0-9a-f]{64}$/);
    assert.deepEqual(weightsOf(snapshot(hub)), [TRANSFORMER, VAE]);

    await (await local.component({ model: MODEL }, "vae")).weights();
    await (await checkpoint.component("transformer")).weights();
    assert.equal(hub.server.requestsFor(TEXT).length, 0);
    for (const file of filesOf(snapshot(hub))) assert.equal(hub.server.requestsFor(file).length, 1, file);
    // One request for the revision, and two for the list of files.
    assert.equal(questions(hub).length, new Set(questions(hub)).size + 1, questions(hub).join());
    assert.deepEqual(readFileSync(join(snapshot(hub), VAE)), readFileSync(join(TINY, VAE)));
  });
});

Deno.test("LocalModels downloads all files of a component concurrently", async () => {
  await withCopy(TINY, async (copy) => {
    const shards = ["diffusion_pytorch_model-00001-of-00002", "diffusion_pytorch_model-00002-of-00002"];
    const from = [join(copy, TRANSFORMER), join(copy, VAE)];
    const map: Record<string, string> = {};
    for (const [i, shard] of shards.entries()) {
      const bytes = readFileSync(from[i]!);
      const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
      for (const name of Object.keys(JSON.parse(header))) {
        if (name !== "__metadata__") map[name] = `${shard}.safetensors`;
      }
      await cp(from[i]!, join(copy, "transformer", `${shard}.safetensors`));
    }
    await rm(from[0]!);
    const index = "transformer/diffusion_pytorch_model.safetensors.index.json";
    await writeFile(join(copy, index), JSON.stringify({ weight_map: map }));
    await withHub(async (hub) => {
      const seen: DownloadProgress[] = [];
      const local = models(hub, { onProgress: (progress) => seen.push(progress) });
      const { component } = await local.open({ model: MODEL });
      const before = seen.length;
      assert.equal((await (await component("transformer")).weights()).names.length, Object.keys(map).length);
      const weights = shards.map((shard) => `transformer/${shard}.safetensors`);
      assert.deepEqual(weightsOf(snapshot(hub)), weights);
      const size = weights.reduce((sum, file) => sum + Deno.statSync(join(copy, file)).size, 0);
      assert.ok(seen.slice(before).every(({ allTotal }) => allTotal === size));
      assert.equal(seen.at(-1)?.allReceived, size);
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("LocalModels stops in the middle of a component, and resumes there", async () => {
  await withHub(async (hub) => {
    hub.server.intercept = (file, bytes) => file === TRANSFORMER ? halted(bytes, 200_000) : undefined;
    const controller = new AbortController();
    whenBegun(hub.blob(TRANSFORMER)).then(() => controller.abort(new Error("enough")));
    const local = models(hub);
    const stopped = await modelsOfRun(local, controller.signal).component(
      { model: MODEL },
      "transformer",
    );
    await assert.rejects(stopped.weights(), { message: "enough" });
    assert.deepEqual(weightsOf(snapshot(hub)), []);
    const kept = Deno.statSync(`${hub.blob(TRANSFORMER)}.incomplete`).size;
    assert.ok(kept > 0);

    // The signal of one run does not affect the next.
    hub.server.intercept = undefined;
    assert.equal(await fileOf(local, "transformer"), TRANSFORMER);
    assert.equal(hub.server.requestsFor(TRANSFORMER).at(-1)?.range, `bytes=${kept}-`);
  });
});

Deno.test("LocalModels sends no requests for cached components of a commit", async () => {
  await withVariants({ [TRANSFORMER]: "copied" }, async (copy) => {
    await withHub(async (hub) => {
      const model = `${MODEL}@${commitOf(MODEL, "main")}`;
      await (await models(hub).component({ model }, "vae")).weights();
      const before = hub.server.requests.length;
      const local = models(hub);
      await (await local.component({ model }, "vae")).weights();
      await (await local.open({ model })).component("text_encoder");
      assert.equal(hub.server.requests.length, before);
      await (await local.component({ model }, "text_encoder")).weights();
      await (await local.component({ model, variant: "fp16" }, "transformer")).weights();
      assert.deepEqual(weightsOf(snapshot(hub)), [TEXT, TRANSFORMER.replace(".s", ".fp16.s"), VAE]);
      const again = hub.server.requests.length;
      const variant = models(hub);
      await (await variant.component({ model, variant: "fp16" }, "transformer")).weights();
      assert.equal(hub.server.requests.length, again, "a component that has the variant");
      assert.deepEqual(
        (await (await variant.component({ model, variant: "fp16" }, "vae")).weightFiles()).paths,
        [
          VAE,
        ],
      );
      assert.ok(hub.server.requests.length > again, "only the hub knows whether there is a variant");
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("LocalModels uses the name of a model on the hub, never its commit", async () => {
  await withHub(async (hub) => {
    const local = models(hub);
    const offline = models(hub, { localFilesOnly: true });
    const byCommit = { model: `${MODEL}@${commitOf(MODEL, "main")}` };
    const opened = [
      await local.open({ model: MODEL }),
      await offline.open({ model: MODEL }),
      await models(hub).open(byCommit),
      await new LocalModels().open({ model: snapshot(hub) }),
      await models(hub, { fetches: false }).open({ model: MODEL }),
    ];
    for (const { name, component } of opened) {
      assert.equal(name, MODEL);
      const vae = await component("vae");
      assert.equal(vae.name, `${MODEL}/vae`);
      assert.equal(vae.source.name, MODEL);
    }
    assert.equal((await new LocalModels().open({ model: TINY })).name, "tiny-alpha-512");

    await (await local.component({ model: MODEL }, "vae")).weights();
    await writeFile(join(snapshot(hub), "scheduler/scheduler_config.json"), "{");
    await assert.rejects(async () => await (await offline.open({ model: MODEL })).scheduler(), {
      message: /^Cannot parse org\/tiny\/scheduler\/scheduler_config\.json/,
    });
  });
});
