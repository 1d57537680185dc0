import assert from "node:assert/strict";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DownloadProgress } from "../../hub/download.ts";
import { resolveModel } from "../../hub/local_models.ts";
import { openCheckpoint } from "../../models/checkpoint/checkpoint.ts";
import { openComponent } from "../../models/checkpoint/component.ts";
import { COMPONENT_NAMES } from "../../models/checkpoint/model_index.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { testOnVariants, tinyCheckpoint, withCopy, withFolder } from "../checkpoint/copies.ts";
import { filesOf, MODEL, weightsOf, whenBegun, withHub } from "./fetch_model.ts";
import { brokenOff, commitOf, halted, trickled } from "./hub_server.ts";

// A token of whoever runs the tests must not take part.
Deno.env.delete("HF_TOKEN");
Deno.env.set("HF_TOKEN_PATH", "/dev/null");

const TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors";

Deno.test("resolveModel() gives an existing folder as it is, also one that is named like a model", async () => {
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

Deno.test("resolveModel() refuses what is neither a folder nor a name", async () => {
  const file = join(tinyCheckpoint("tiny-taesd"), "config.json");
  for (
    const reference of ["", "./org/tiny", "/org/tiny", "a/b/c", "tiny", "../tiny", "a--b/c", "org/", file]
  ) {
    await assert.rejects(resolveModel(reference), {
      name: "RangeError",
      message: /must be a folder on disk, or a name on the hub/,
    }, reference);
  }
  await assert.rejects(resolveModel("org/tiny", { revision: "../../x" }), {
    name: "RangeError",
    message: /revision/,
  });
});

Deno.test("resolveModel() downloads what a run needs and no more, into the layout of the cache", async () => {
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

testOnVariants(
  "resolveModel() fetches the shards and the variant that are asked for, and the components",
  async () => {
    const models = { [MODEL]: { main: tinyCheckpoint("tiny-alpha-1024") } };
    await withHub(async ({ resolve }) => {
      const some = await resolve(MODEL, { variant: "fp16", components: ["vae"] });
      assert.deepEqual(weightsOf(some), [
        "vae/diffusion_pytorch_model.fp16.safetensors",
      ]);
      const folder = await resolve(MODEL, { variant: "fp16" });
      const weights = weightsOf(folder);
      assert.equal(weights.length, 5);
      assert.ok(weights.every((file) => file.includes(".fp16")));
      const checkpoint = await openCheckpoint(await openDiskSource(folder), { variant: "fp16" });
      for (const name of checkpoint.components) await (await checkpoint.component(name)).weights();

      await assert.rejects(resolve(MODEL, { variant: "int8" }), {
        name: "MissingVariantError",
        message: /plain, fp16/,
      });
      await resolve();
      assert.equal(weightsOf(folder).length, 12);
    }, { models });
  },
);

Deno.test("resolveModel() fetches a single component", async () => {
  await withHub(async ({ resolve }) => {
    const vae = await openComponent(await openDiskSource(await resolve()));
    assert.equal(vae.className, "AutoencoderTiny");
    assert.ok((await vae.weights()).names.length > 0);
  }, { models: { [MODEL]: { main: tinyCheckpoint("tiny-taesd") } } });
});

Deno.test("resolveModel() goes on with a file where it broke off", async () => {
  await withHub(async ({ server, resolve }) => {
    const cut = 200_000;
    let first = true;
    server.intercept = (file, bytes) => {
      if (file !== TRANSFORMER || !first) return undefined;
      first = false;
      return brokenOff(bytes, 0, cut);
    };
    const folder = await resolve();
    const [whole, rest, ...more] = server.requestsFor(TRANSFORMER);
    assert.equal(whole?.range, null);
    assert.match(rest?.range ?? "", /^bytes=\d+-$/);
    assert.ok(Number(/\d+/.exec(rest?.range ?? "")?.[0]) > 0);
    assert.deepEqual(more, []);
    assert.deepEqual(
      readFileSync(join(folder, TRANSFORMER)),
      readFileSync(join(tinyCheckpoint("tiny-alpha-512"), TRANSFORMER)),
    );
  });
});

Deno.test("resolveModel() goes on after an abort, and asks for the rest alone", async () => {
  await withHub(async ({ server, resolve, blob, cacheDir }) => {
    server.intercept = (file, bytes) => file === TRANSFORMER ? halted(bytes, 200_000) : undefined;
    const controller = new AbortController();
    whenBegun(blob(TRANSFORMER)).then(() => controller.abort(new Error("enough")));
    await assert.rejects(resolve(MODEL, { signal: controller.signal }), { message: "enough" });
    const snapshot = join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, "main"));
    assert.deepEqual(weightsOf(snapshot), []);
    const kept = (await Deno.stat(`${blob(TRANSFORMER)}.incomplete`)).size;
    assert.ok(kept > 0);

    server.intercept = undefined;
    const seen: DownloadProgress[] = [];
    await resolve(MODEL, { onProgress: (event) => seen.push(event) });
    assert.equal(server.requestsFor(TRANSFORMER).at(-1)?.range, `bytes=${kept}-`);
    const of = seen.filter(({ file }) => file === TRANSFORMER);
    assert.ok(of.every(({ received }) => received >= kept));
    assert.equal(of.at(-1)?.received, of.at(-1)?.total);
    assert.equal(seen.at(-1)?.allReceived, seen.at(-1)?.allTotal);
    await assert.rejects(resolve(MODEL, { signal: AbortSignal.abort(new Error("at once")) }), {
      message: "at once",
    });
  });
});

Deno.test("resolveModel() starts a file anew if the server knows no ranges", async () => {
  await withHub(async ({ server, resolve, blob }) => {
    await mkdir(dirname(blob(TRANSFORMER)), { recursive: true });
    const bytes = readFileSync(join(tinyCheckpoint("tiny-alpha-512"), TRANSFORMER));
    await writeFile(`${blob(TRANSFORMER)}.incomplete`, bytes.subarray(0, 1000));
    server.intercept = (file, bytes) => file === TRANSFORMER ? new Response(bytes) : undefined;
    const folder = await resolve();
    assert.deepEqual(server.requestsFor(TRANSFORMER).map(({ range }) => range), ["bytes=1000-"]);
    assert.deepEqual(readFileSync(join(folder, TRANSFORMER)), bytes);
  });
});

Deno.test("resolveModel() throws away what an earlier try left if its bytes are wrong", async () => {
  await withHub(async ({ server, resolve, blob }) => {
    await mkdir(dirname(blob(TRANSFORMER)), { recursive: true });
    await writeFile(`${blob(TRANSFORMER)}.incomplete`, new Uint8Array(1000));
    const folder = await resolve();
    assert.deepEqual(server.requestsFor(TRANSFORMER).map(({ range }) => range), ["bytes=1000-", null]);
    assert.ok((await openCheckpoint(await openDiskSource(folder))).components.includes("transformer"));
  });
});

Deno.test("resolveModel() refuses bytes whose hash is wrong, and keeps none of them", async () => {
  for (const bad of [TRANSFORMER, "vae/config.json"]) {
    await withHub(async ({ server, resolve, blob, cacheDir }) => {
      server.intercept = (file, bytes) => {
        if (file !== bad) return undefined;
        const changed = bytes.slice();
        changed[100] = (changed[100] ?? 0) ^ 1;
        return new Response(changed);
      };
      await assert.rejects(resolve(), {
        name: "HubError",
        code: "corrupt",
        message: new RegExp(`hash of ${bad}`),
      });
      assert.equal(server.requestsFor(bad).length, 2);
      assert.ok(!existsSync(blob(bad)) && !existsSync(`${blob(bad)}.incomplete`));
      const snapshot = join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, "main"));
      assert.ok(!existsSync(join(snapshot, bad)));
      server.intercept = undefined;
      await resolve();
    });
  }
});

Deno.test("resolveModel() tries again after failures of the server, and gives up in the end", async () => {
  await withHub(async ({ server, resolve }) => {
    let failures = 3;
    server.intercept = (file) =>
      file === TRANSFORMER && failures-- > 0 ? new Response("busy", { status: 503 }) : undefined;
    await resolve();
    assert.equal(server.requestsFor(TRANSFORMER).length, 4);
  });
  await withHub(async ({ server, resolve }) => {
    server.intercept = (file) =>
      file === "vae/config.json" ? new Response("busy", { status: 502 }) : undefined;
    await assert.rejects(resolve(MODEL, { tries: 2 }), {
      name: "HubError",
      code: "unreachable",
      message: /502/,
    });
    assert.equal(server.requestsFor("vae/config.json").length, 2);
  });
});

Deno.test("resolveModel() gives up connections that fall silent and goes on", async () => {
  await withHub(async ({ server, resolve }) => {
    let silent = true;
    server.intercept = (file, bytes) => {
      if (file !== TRANSFORMER || !silent) return undefined;
      silent = false;
      return halted(bytes, 50_000);
    };
    await resolve(MODEL, { stallTimeout: 300 });
    assert.deepEqual(server.requestsFor(TRANSFORMER).map(({ range }) => range), [null, "bytes=50000-"]);

    server.intercept = () => new Promise((answer) => setTimeout(() => answer(new Response("late")), 400));
    const late = resolve("org/tiny", { stallTimeout: 100, tries: 2, revision: "other" });
    await assert.rejects(late, { code: "unreachable", message: /nothing came for 0.1 s/ });
  }, { models: { [MODEL]: { main: tinyCheckpoint("tiny-alpha-512"), other: tinyCheckpoint("tiny-lcm") } } });
});

Deno.test("resolveModel() refuses what does not fit on the disk, before its first byte", async () => {
  await withHub(async ({ server, resolve }) => {
    await assert.rejects(resolve(), {
      name: "HubError",
      code: "disk_full",
      message: /needs 9000000.\d\d GB, but .*models--org--tiny has [\d.]+ GB left/,
    });
    assert.equal(server.requestsFor("vae/diffusion_pytorch_model.safetensors").length, 0);
  }, { models: { [MODEL]: { main: tinyCheckpoint("tiny-alpha-512") } }, sizes: { [TRANSFORMER]: 9e15 } });
});

Deno.test("resolveModel() sends the token to the hub alone, and says when one is needed", async () => {
  const models = { [MODEL]: { main: tinyCheckpoint("tiny-taesd") } };
  await withHub(async ({ server, resolve }) => {
    await assert.rejects(resolve(), { name: "HubError", code: "unauthorized", message: /terms .* HF_TOKEN/ });
    await assert.rejects(resolve(MODEL, { token: "wrong" }), {
      code: "unauthorized",
      message: /access token from the option token may not read it or has expired/,
    });
    server.requests.length = 0;
    await resolve(MODEL, { token: "secret" });
    const tokens = new Map(server.requests.map((request) => [request.server, request.authorization]));
    assert.deepEqual([...tokens], [["hub", "Bearer secret"], ["files", null]]);
  }, { models, token: "secret" });
});

Deno.test("resolveModel() says that a model or a revision does not exist", async () => {
  await withHub(async ({ server, resolve }) => {
    await assert.rejects(resolve("org/none"), {
      code: "model_not_found",
      message: /org\/none: .* has no such model/,
    });
    await assert.rejects(resolve(MODEL, { revision: "v9" }), {
      code: "revision_not_found",
      message: /no revision v9/,
    });
    assert.equal(server.requests.length, 2);
  });
});

Deno.test("resolveModel() takes branches, pull requests and commits", async () => {
  const models = {
    [MODEL]: { main: tinyCheckpoint("tiny-lcm"), "refs/pr/1": tinyCheckpoint("tiny-sigma") },
  };
  await withHub(async ({ server, resolve }) => {
    const branch = await resolve(MODEL, { revision: "refs/pr/1" });
    assert.equal((await openCheckpoint(await openDiskSource(branch))).family, "sigma");
    assert.equal((await openCheckpoint(await openDiskSource(await resolve()))).family, "alpha");
    const before = server.requests.length;
    assert.equal(await resolve(MODEL, { revision: commitOf(MODEL, "refs/pr/1") }), branch);
    assert.equal(server.requests.length, before, "a commit that is there needs no request");
    assert.equal(await resolve(MODEL, { revision: "refs/pr/1", localFilesOnly: true }), branch);
  }, { models });
});

Deno.test("resolveModel() needs no network for what is in the cache", async () => {
  await withHub(async ({ server, resolve, blob, cacheDir }) => {
    await assert.rejects(resolve(MODEL, { localFilesOnly: true }), {
      code: "offline",
      message: /revision main was never fetched/,
    });
    assert.equal(server.requests.length, 0);
    const folder = await resolve();
    const before = server.requests.length;
    assert.equal(await resolve(MODEL, { localFilesOnly: true }), folder);
    assert.equal(server.requests.length, before);
    const closed = { endpoint: "http://127.0.0.1:9", tries: 1 };
    assert.equal(await resolve(MODEL, closed), folder, "a hub that cannot be reached");
    await assert.rejects(resolve("org/other", closed), {
      code: "unreachable",
      message: /127.0.0.1:9 .*HF_HUB_OFFLINE/,
    });

    await rm(join(folder, TRANSFORMER));
    await assert.rejects(resolve(MODEL, { localFilesOnly: true }), {
      code: "offline",
      message: /weights of .*transformer/,
    });
    await assert.rejects(resolve(MODEL, closed), { code: "unreachable" });
    await rm(blob(TRANSFORMER));
    assert.equal(await resolve(), folder);
    assert.ok(existsSync(join(cacheDir, "models--org--tiny/refs/main")));
  });
});

Deno.test("resolveModel() refuses other models before their weights are fetched", async () => {
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

Deno.test("sixteen processes at once on a cold cache download each file once, and none misses one", async () => {
  await withHub(async ({ server, cacheDir }) => {
    const processes = 16;
    // They begin together: the hub answers nobody before all have asked.
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

Deno.test("resolveModel() uses a cache that holds plain files and no blobs, with the hub and without", async () => {
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

    // What it lacks is downloaded beside them.
    await rm(join(folder, TRANSFORMER));
    assert.equal(await resolve(), folder);
    assert.deepEqual(filesOf(folder), filesOf(tinyCheckpoint("tiny-alpha-512")));
    assert.equal(filesOf(join(root, "blobs")).length, 1);
  });
});

Deno.test({
  name: "processes that can make no links put the files themselves into the snapshot, and download each once",
  ignore: Deno.build.os !== "linux",
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
});
