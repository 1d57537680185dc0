import assert from "node:assert/strict";
import { snapshotModel } from "../../hub/hub_cache.ts";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalModels } from "../../hub/local_models.ts";
import { openCheckpoint } from "../../models/checkpoint/checkpoint.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES } from "../../models/checkpoint/model_index.ts";
import { tinyCheckpoint, withCopy } from "../models/checkpoint/copies.ts";
import { inFolder, runCli, startCliWith } from "../cli/run_cli.ts";
import { commitOf, trickled } from "./hub_server.ts";
import { READ_ONLY_FOLDERS, whileReadOnly } from "./read_only.ts";
import { fileOf, filesOf, MODEL, models, TINY, TRANSFORMER, VAE, withHub } from "./with_hub.ts";
import { LINUX, needing } from "../needing.ts";

Deno.test("the cache receives only what a run needs, in the layout of Python's library", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    for (
      const junk of ["README.md", "picture.png", "transformer/model.onnx", "vae/diffusion_pytorch_model.bin"]
    ) {
      await writeFile(join(copy, junk), junk);
    }
    await withHub(async ({ server, cacheDir, resolve }) => {
      const folder = await resolve();
      const commit = commitOf(MODEL, "main");
      const root = join(cacheDir, "models--org--tiny");
      assert.equal(folder, join(root, "snapshots", commit));
      assert.equal(readFileSync(join(root, "refs/main"), "utf8"), commit);
      assert.deepEqual(filesOf(folder), filesOf(tinyCheckpoint("tiny-alpha-512")));
      for (const file of filesOf(folder)) {
        assert.match(readlinkSync(join(folder, file)), /^(\.\.\/)+blobs\/[0-9a-f]+$/);
        assert.deepEqual(readFileSync(join(folder, file)), readFileSync(join(copy, file)));
        assert.equal(server.requestsFor(file).length, 1, file);
      }
      assert.ok(!filesOf(join(root, "blobs")).some((name) => name.endsWith(".incomplete")));

      const checkpoint = await openCheckpoint(await openDiskSource(folder));
      const weights = await (await checkpoint.component("transformer")).weights();
      assert.equal(weights.locate("pos_embed.proj.weight").folder, await Deno.realPath(join(root, "blobs")));

      const before = server.requests.length;
      assert.equal(await resolve(), folder);
      assert.ok(!server.requests.slice(before).some(({ path }) => path.includes("/resolve/")));
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("other models are refused before their weights are fetched", async () => {
  await withCopy(tinyCheckpoint("tiny-alpha-512"), async (copy) => {
    const index = join(copy, "model_index.json");
    const text = await Deno.readTextFile(index);
    await writeFile(index, text.replace("PixArtAlphaPipeline", "FluxPipeline"));
    const models = { [MODEL]: { main: copy } };
    await withHub(async ({ server, resolve }) => {
      await assert.rejects(resolve(), { name: "UnsupportedArchitectureError", message: /FluxPipeline/ });
      assert.equal(server.requestsFor(TRANSFORMER).length, 0);
    }, { models });
    await writeFile(index, text);
    await Deno.rename(join(copy, TRANSFORMER), join(copy, "transformer/diffusion_pytorch_model.bin"));
    await withHub(async ({ server, resolve }) => {
      await assert.rejects(resolve(), { name: "CheckpointError", message: /must be safetensors files/ });
      assert.equal(server.requestsFor("vae/diffusion_pytorch_model.safetensors").length, 0);
    }, { models });
    await rm(index);
    for (const name of COMPONENT_NAMES) await rm(join(copy, name, "config.json"));
    await withHub(async ({ resolve }) => {
      await assert.rejects(resolve(), { name: "HubError", code: "unsupported", message: /model_index.json/ });
    }, { models });
  });
});

Deno.test("offline, a branch means its former commit until the new one is as complete", async () => {
  await withHub(async (hub) => {
    await fileOf(models(hub), "vae");
    await fileOf(models(hub), "transformer");
    const ref = join(hub.cacheDir, "models--org--tiny/refs/main");
    const before = readFileSync(ref, "utf8");
    await withCopy(TINY, async (copy) => {
      await writeFile(join(copy, "vae/config.json"), `${readFileSync(join(TINY, "vae/config.json"))}\n`);
      await withHub(async (later) => {
        const models = new LocalModels({ endpoint: later.server.endpoint, cacheDir: hub.cacheDir });
        const next = commitOf(MODEL, "next");
        await (await models.component({ model: MODEL }, "vae")).weights();
        assert.equal(readFileSync(ref, "utf8"), before);
        assert.equal(later.server.requestsFor(VAE).length, 0, "the same weights are fetched once");
        await (await models.component({ model: MODEL }, "transformer")).weights();
        assert.equal(readFileSync(ref, "utf8"), next);
      }, { models: { [MODEL]: { next: copy } }, branches: { main: "next" } });
    });
  });
});

Deno.test("sixteen concurrent processes with a cold cache download each file once, and each gets all files", async () => {
  await withHub(async ({ server, cacheDir }) => {
    const processes = 16;
    // The processes start together, because the hub replies only after it has received a request from each.
    const allAsked = Promise.withResolvers<void>();
    let asked = 0;
    server.answer = async (path) => {
      if (!path.includes("/revision/")) return undefined;
      if (++asked === processes) allAsked.resolve();
      await allAsked.promise;
      return undefined;
    };
    server.intercept = (_file, bytes, request) => {
      const start = Number(/\d+/.exec(request.headers.get("Range") ?? "0")?.[0]);
      return bytes.length > 100_000 ? trickled(bytes, start, 20) : undefined;
    };
    const script = fileURLToPath(new URL("./open_model.ts", import.meta.url));
    const results = await Promise.all(
      Array.from({ length: processes }, () =>
        new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", script, MODEL],
          env: { HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cacheDir, HF_TOKEN: "hf_secret" },
        }).output()),
    );
    for (const { code, stderr } of results) assert.equal(code, 0, new TextDecoder().decode(stderr));
    const snapshot = join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, "main"));
    assert.deepEqual(filesOf(snapshot), filesOf(tinyCheckpoint("tiny-alpha-512")));
    for (const file of filesOf(snapshot)) {
      assert.deepEqual(
        readFileSync(join(snapshot, file)),
        readFileSync(join(tinyCheckpoint("tiny-alpha-512"), file)),
      );
      assert.equal(server.requestsFor(file).length, 1, file);
    }
    assert.deepEqual(
      filesOf(join(cacheDir, "models--org--tiny/blobs")).filter((name) => !/^[0-9a-f]+$/.test(name)),
      [],
    );
    assert.ok(
      server.requests.filter(({ server }) => server === "hub").every(({ authorization }) =>
        authorization === "Bearer hf_secret"
      ),
    );
  });
});

Deno.test("a cache of plain files without blobs works, with and without the hub", async () => {
  await withHub(async ({ server, resolve, cacheDir }) => {
    const folder = await resolve();
    const root = join(cacheDir, "models--org--tiny");
    await cp(folder, `${folder}-copy`, { recursive: true, dereference: true });
    await rm(folder, { recursive: true });
    await rm(join(root, "blobs"), { recursive: true });
    await Deno.rename(`${folder}-copy`, folder);
    const before = server.requests.length;
    for (const options of [{}, { localFilesOnly: true }, { endpoint: "http://127.0.0.1:9", tries: 1 }]) {
      assert.equal(await resolve(MODEL, options), folder);
      const checkpoint = await openCheckpoint(await openDiskSource(folder));
      for (const name of checkpoint.components) await (await checkpoint.component(name)).weights();
    }
    assert.deepEqual(server.requests.slice(before).filter(({ path }) => path.includes("/resolve/")), []);
    assert.ok(!existsSync(join(root, "blobs")));

    // Missing files are downloaded next to them.
    await rm(join(folder, TRANSFORMER));
    assert.equal(await resolve(), folder);
    assert.deepEqual(filesOf(folder), filesOf(tinyCheckpoint("tiny-alpha-512")));
    assert.equal(filesOf(join(root, "blobs")).length, 1);
  });
});

Deno.test(needing(LINUX, {
  name: "processes that cannot create links put files directly into the snapshot, and download each once",
  fn: async () => {
    await withHub(async ({ server, cacheDir }) => {
      const run = async (script: string): Promise<void> => {
        const { code, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", fileURLToPath(new URL(script, import.meta.url)), MODEL],
          env: { HF_ENDPOINT: server.endpoint, HF_HUB_CACHE: cacheDir, HF_TOKEN: "" },
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
      };
      await Promise.all(Array.from({ length: 4 }, () => run("./without_links.ts")));
      await run("./open_model.ts");
      const snapshot = join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, "main"));
      assert.deepEqual(filesOf(snapshot), filesOf(tinyCheckpoint("tiny-alpha-512")));
      for (const file of filesOf(snapshot)) {
        assert.ok(Deno.lstatSync(join(snapshot, file)).isFile, file);
        assert.equal(server.requestsFor(file).length, 1, file);
      }
    });
  },
}));

Deno.test(needing(READ_ONLY_FOLDERS, {
  name: "a read-only cache is used if its branch is known, unknown or outdated",
  fn: async () => {
    await withHub(async (hub) => {
      const parts = ["vae", "transformer"] as const;
      for (const name of parts) await fileOf(models(hub), name);
      const root = join(hub.cacheDir, "models--org--tiny");
      const readAll = async (endpoint = hub.server.endpoint): Promise<readonly string[]> => {
        const warnings: string[] = [];
        const onWarning = (message: string) => warnings.push(message);
        const local = new LocalModels({ endpoint, cacheDir: hub.cacheDir, onWarning });
        for (const name of parts) await fileOf(local, name);
        return warnings;
      };
      await whileReadOnly(hub.cacheDir, async () => assert.deepEqual(await readAll(), []));

      // A model that was downloaded by commit has no branch in the cache.
      await rm(join(root, "refs"), { recursive: true });
      await whileReadOnly(hub.cacheDir, async () => {
        assert.deepEqual(await readAll(), []);
        assert.ok(!existsSync(join(root, "refs")));
        await assert.rejects(fileOf(models(hub), "text_encoder"), {
          name: "HubError",
          code: "read_only",
          message: /org\/tiny: the cache .* cannot be written \(E\w+\)\. Set HF_HUB_CACHE to /,
        });
        await inFolder(async (folder) => {
          const size = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2"];
          const embeddings = ["--save-embeds", "e.safetensors", "--until", "encode"];
          const made = await runCli(folder, "gen", "cute cat", "-m", TINY, ...size, ...embeddings);
          assert.equal(made.status, 0, made.stderr);
          const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir, HF_TOKEN: "" };
          const args = ["denoise", "e.safetensors", "-m", MODEL, ...size, "-o", "l.safetensors"];
          const { code, stderr } = await startCliWith(folder, env, ...args).output();
          assert.equal(code, 0, new TextDecoder().decode(stderr));
        });
      });

      // The hub has a new commit, which cannot be stored.
      await readAll();
      await withCopy(TINY, async (copy) => {
        await writeFile(join(copy, "vae/config.json"), `${readFileSync(join(TINY, "vae/config.json"))}\n`);
        await withHub(async ({ server }) => {
          await whileReadOnly(hub.cacheDir, async () => {
            const [warning, ...more] = await readAll(server.endpoint);
            assert.match(warning ?? "", /^Using the cached copy of org\/tiny .* cannot be written/);
            assert.deepEqual(more, []);
          });
        }, { models: { [MODEL]: { next: copy } }, branches: { main: "next" } });
      });
    });
  },
}));

Deno.test("snapshotModel() returns the model of a snapshot folder", () => {
  const commit = commitOf(MODEL, "main");
  assert.equal(snapshotModel(`/cache/models--org--tiny/snapshots/${commit}`), MODEL);
  assert.equal(snapshotModel(`C:\\cache\\models--org--tiny\\snapshots\\${commit}`), MODEL);
  for (
    const folder of ["/", `/models/${commit}`, "/cache/models--org--tiny/snapshots/main", "models--org--tiny"]
  ) {
    assert.equal(snapshotModel(folder), undefined, folder);
  }
});
