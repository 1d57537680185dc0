import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { cp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DownloadProgress } from "../../hub/download.ts";
import { HubError } from "../../hub/hub_error.ts";
import { LocalModels, type LocalModelsOptions } from "../../hub/local_models.ts";
import { readArtifactFile } from "../../graph/provenance_file.ts";
import { decodePicture } from "../../images/picture.ts";
import { fingerprint } from "../../models/checkpoint/fingerprint.ts";
import type { ComponentName } from "../../models/checkpoint/model_index.ts";
import { modelsWithSignal } from "../../models/models_with_signal.ts";
import { tinyCheckpoint, withCopy, withFolder } from "../checkpoint/copies.ts";
import { inFolder, runCli, startCliWith } from "../cli/run_cli.ts";
import { filesOf, type Hub, MODEL, weightsOf, whenBegun, withHub } from "./fetch_model.ts";
import { canBeReadOnly, whileReadOnly } from "./read_only.ts";
import { commitOf, failure, halted, type HubServer, silence } from "./hub_server.ts";

// A token of whoever runs the tests must not take part.
Deno.env.delete("HF_TOKEN");
Deno.env.set("HF_TOKEN_PATH", "/dev/null");

const TINY = tinyCheckpoint("tiny-alpha-512");
const TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors";
const VAE = "vae/diffusion_pytorch_model.safetensors";
const TEXT = "text_encoder/model.safetensors";

/** The models as a new process sees them. */
function models({ server, cacheDir }: Hub, options: LocalModelsOptions = {}): LocalModels {
  return new LocalModels({ endpoint: server.endpoint, cacheDir, retryDelay: 5, ...options });
}

/** The snapshot of a revision of the default model. */
function snapshot({ cacheDir }: Hub, revision = "main"): string {
  return join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, revision));
}

/** What the hub was asked besides for files. */
function questions({ server }: Hub): readonly string[] {
  return server.requests.map(({ path }) => path).filter((path) => path.startsWith("/api/"));
}

/** The variant of a component's weights on the disk: the name of the file that a tensor lies in. */
async function fileOf(local: LocalModels, component: ComponentName, variant?: string): Promise<string> {
  const opened = await local.component({ model: MODEL, variant }, component);
  await opened.weights();
  return (await opened.weightFiles()).paths.join();
}

/** A copy of the tiny checkpoint in which files are renamed to those of a variant, or copied. */
async function withVariants(
  variants: Readonly<Record<string, "renamed" | "copied">>,
  work: (copy: string) => Promise<void>,
): Promise<void> {
  await withCopy(TINY, async (copy) => {
    for (const [file, how] of Object.entries(variants)) {
      const to = join(copy, file.replace(".safetensors", ".fp16.safetensors"));
      await (how === "renamed" ? rename : cp)(join(copy, file), to);
    }
    await work(copy);
  });
}

Deno.test("LocalModels fetches the weights of a component when they are first needed, and no others", async () => {
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
    // The revision, and the list of files in two pages.
    assert.equal(questions(hub).length, new Set(questions(hub)).size + 1, questions(hub).join());
    assert.deepEqual(readFileSync(join(snapshot(hub), VAE)), readFileSync(join(TINY, VAE)));
  });
});

Deno.test("LocalModels fetches all files of a component at once", async () => {
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

Deno.test("LocalModels chooses variants by what the hub holds, not by what is in the cache", async () => {
  await withVariants({ [TRANSFORMER]: "renamed", [VAE]: "copied" }, async (copy) => {
    await withHub(async (hub) => {
      // The plain autoencoder is in the cache; the hub has it as the variant too.
      assert.equal(await fileOf(models(hub), "vae"), VAE);
      const local = models(hub);
      assert.equal(await fileOf(local, "vae", "fp16"), VAE.replace(".safetensors", ".fp16.safetensors"));
      assert.equal(await fileOf(local, "text_encoder", "fp16"), TEXT);
      assert.deepEqual(hub.server.requestsFor(TRANSFORMER.replace(".s", ".fp16.s")), []);
      await assert.rejects(local.open({ model: MODEL, variant: "bf16" }), {
        name: "MissingVariantError",
        message: /variant bf16 in org\/tiny: .*transformer: fp16; text_encoder: plain; vae: plain, fp16/,
      });
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("LocalModels chooses variants by the cache where the hub cannot be asked", async () => {
  await withVariants({ [TRANSFORMER]: "copied", [VAE]: "copied" }, async (copy) => {
    await withHub(async (hub) => {
      await fileOf(models(hub), "vae");
      await fileOf(models(hub), "transformer", "fp16");
      for (const options of [{ localFilesOnly: true }, { endpoint: "http://127.0.0.1:9", tries: 1 }]) {
        const local = models(hub, options);
        assert.equal(
          await fileOf(local, "transformer", "fp16"),
          TRANSFORMER.replace(".safetensors", ".fp16.safetensors"),
        );
        assert.equal(await fileOf(local, "vae", "fp16"), VAE);
        await assert.rejects(local.open({ model: MODEL, variant: "bf16" }), {
          code: "localFilesOnly" in options ? "offline" : "unreachable",
          message: /variant bf16 .*transformer: fp16; text_encoder: none; vae: plain/,
        });
      }
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("LocalModels works offline where the cache holds what is needed, and names what it lacks", async () => {
  await withHub(async (hub) => {
    await fileOf(models(hub), "vae");
    const before = hub.server.requests.length;
    const offline = models(hub, { localFilesOnly: true });
    assert.equal(await fileOf(offline, "vae"), VAE);
    const { component } = await offline.open({ model: MODEL });
    const transformer = await component("transformer");
    await assert.rejects(transformer.weights(), {
      name: "HubError",
      code: "offline",
      message: /org\/tiny offline: the cache .* weights of .*transformer: .*HF_HUB_OFFLINE/,
    });
    assert.equal(hub.server.requests.length, before);

    const unreachable = models(hub, { endpoint: "http://127.0.0.1:9", tries: 1 });
    assert.equal(await fileOf(unreachable, "vae"), VAE);
    await assert.rejects(fingerprint(await unreachable.component({ model: MODEL }, "transformer")), {
      name: "HubError",
      code: "unreachable",
      message: /127.0.0.1:9 .*weights of .*transformer/,
    });
    // A blob that somebody removed leaves a link that leads nowhere.
    await rm(hub.blob(VAE));
    await assert.rejects(fileOf(offline, "vae"), {
      code: "offline",
      message: /vae\/.*\.safetensors is missing/,
    });
    assert.equal(await fileOf(models(hub), "vae"), VAE);
  });
});

Deno.test("LocalModels uses a cache that holds all where the hub refuses, and says why", async () => {
  await withFolder(async (home) => {
    const stored = join(home, "token");
    await writeFile(stored, "hf_old\n");
    const answers: readonly [answer: Response, ...told: RegExp[]][] = [
      [failure(401), /permission \(401\)/, new RegExp(`access token from ${stored} may not .*expired`)],
      [failure(403), /permission \(403\)/],
      [failure(403, "GatedRepo"), /terms must be accepted \(403\)/],
      [failure(404, "RepoNotFound"), /no such model.*\(404\)/],
      [failure(404, "RevisionNotFound"), /no revision main/],
      [failure(503), /answers 503/],
    ];
    await withHub(async (hub) => {
      for (const name of ["vae", "transformer"] as const) await fileOf(models(hub), name);
      Deno.env.set("HF_TOKEN_PATH", stored);
      try {
        for (const [answer, ...told] of answers) {
          const warnings: string[] = [];
          hub.server.answer = () => answer.clone();
          const local = models(hub, { tries: 1, onWarning: (message) => warnings.push(message) });
          assert.equal(await fileOf(local, "vae"), VAE);
          assert.equal(await fileOf(local, "transformer"), TRANSFORMER);
          assert.equal(warnings.length, 1, warnings.join());
          assert.match(
            warnings[0]!,
            /^The cached copy of org\/tiny is used \(main as of commit [0-9a-f]{7}\)\. /,
          );
          for (const part of told) assert.match(warnings[0]!, part);
          // What the cache lacks is missed with the hub's reason.
          await assert.rejects(fileOf(local, "text_encoder"), (error) => {
            assert(error instanceof HubError, String(error));
            for (const part of told) assert.match(error.message, part);
            assert.match(error.message, /does not hold all of it: .*text_encoder/);
            return true;
          });
          await assert.rejects(models(hub, { tries: 1 }).open({ model: "org/other" }), { name: "HubError" });
        }
      } finally {
        Deno.env.set("HF_TOKEN_PATH", "/dev/null");
      }
    });
  });
});

Deno.test("LocalModels waits once for a silent hub where the cache can stand in, else three times, and says so", async () => {
  await withHub(async (hub) => {
    await fileOf(models(hub), "vae");
    const html = new Response("<html>Log in first</html>", { headers: { "Content-Type": "text/html" } });
    const silences: readonly [answer: NonNullable<HubServer["answer"]>, told: RegExp][] = [
      [(_path, request) => silence(request), /is unreachable \(nothing came for 0\.2 s\)/],
      // The answer begins, and nothing more comes.
      [
        () => new Response(new ReadableStream({ start: (body) => body.enqueue(new Uint8Array([123])) })),
        /nothing came/,
      ],
      [() => html.clone(), /does not answer as a hub: .*HF_ENDPOINT.*login/],
    ];
    for (const [answer, told] of silences) {
      let asked = 0;
      hub.server.answer = (path, request) => {
        asked++;
        return answer(path, request);
      };
      const warnings: string[] = [];
      const local = models(hub, { stallTimeout: 200, onWarning: (message) => warnings.push(message) });
      assert.equal(await fileOf(local, "vae"), VAE);
      assert.equal(asked, 1);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, told);

      await assert.rejects(local.open({ model: "org/other" }), { code: "unreachable", message: told });
      assert.equal(asked, 4);
      assert.match(
        warnings.slice(1).join("\n"),
        /org\/other.*Trying again \(2 of 3\)\n.*org\/other.*Trying again \(3 of 3\)$/,
      );
      // A hub that is back is asked for what the cache lacks.
      hub.server.answer = undefined;
      assert.equal(await fileOf(local, "transformer"), TRANSFORMER);
      await rm(join(snapshot(hub), TRANSFORMER));
    }
  });
});

Deno.test("commands wait seconds for a hub that is down or accepts and never answers, and say so", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of silent) accepted.push(connection);
  })();
  try {
    await inFolder(async (folder) => {
      const run = async (HF_ENDPOINT: string): Promise<{ stderr: string; seconds: number }> => {
        const env = { HF_ENDPOINT, HF_HUB_CACHE: folder, HF_TOKEN: "", HF_HUB_ETAG_TIMEOUT: "0.5" };
        const started = performance.now();
        const { code, stderr } = await startCliWith(folder, env, "gen", "cute cat", "-m", MODEL).output();
        assert.equal(code, 1);
        return { stderr: new TextDecoder().decode(stderr), seconds: (performance.now() - started) / 1000 };
      };
      for (const endpoint of ["http://127.0.0.1:9", `http://127.0.0.1:${silent.addr.port}`]) {
        const { stderr, seconds } = await run(endpoint);
        assert.match(
          stderr,
          /^warning: .*is unreachable.* Trying again \(2 of 3\)\n(.*\n)*error: .*is unreachable.*\n$/,
        );
        assert.ok(seconds < 10, `${seconds} s`);
      }
    });
  } finally {
    silent.close();
    await accepting;
    for (const connection of accepted) connection.close();
  }
});

Deno.test("LocalModels keeps to the former commit where the hub lists a new one and refuses its files", async () => {
  await withHub(async (hub) => {
    for (const name of ["vae", "transformer", "text_encoder"] as const) await fileOf(models(hub), name);
    await withCopy(TINY, async (copy) => {
      await writeFile(join(copy, "vae/config.json"), `${readFileSync(join(TINY, "vae/config.json"))}\n`);
      await withHub(async ({ server }) => {
        server.answer = (path) => path.includes("/resolve/") ? failure(403, "GatedRepo") : undefined;
        const warnings: string[] = [];
        const local = new LocalModels({
          endpoint: server.endpoint,
          cacheDir: hub.cacheDir,
          onWarning: (message) => warnings.push(message),
        });
        const { source } = await local.component({ model: MODEL }, "vae");
        assert.equal(
          await source.readText("vae/config.json"),
          readFileSync(join(TINY, "vae/config.json"), "utf8"),
        );
        for (const name of ["vae", "transformer", "text_encoder"] as const) await fileOf(local, name);
        const before = commitOf(MODEL, "main").slice(0, 7);
        assert.deepEqual(warnings.map((warning) => warning.slice(0, 80)), [
          `The cached copy of org/tiny is used (main as of commit ${before}). Cannot download org/tiny`.slice(
            0,
            80,
          ),
        ]);
        assert.match(warnings[0]!, /terms must be accepted/);
        server.answer = undefined;
        await fileOf(new LocalModels({ endpoint: server.endpoint, cacheDir: hub.cacheDir }), "vae");
        assert.equal(server.requestsFor("vae/config.json").length, 2);
      }, { models: { [MODEL]: { next: copy } }, branches: { main: "next" } });
    });
  });
});

Deno.test({
  name: "LocalModels uses a cache that cannot be written, with its branch known, unknown or moved on",
  ignore: !canBeReadOnly,
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

      // A model that was fetched by its commit alone has no branch in the cache.
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

      // The hub has moved on: the new commit cannot be kept.
      await readAll();
      await withCopy(TINY, async (copy) => {
        await writeFile(join(copy, "vae/config.json"), `${readFileSync(join(TINY, "vae/config.json"))}\n`);
        await withHub(async ({ server }) => {
          await whileReadOnly(hub.cacheDir, async () => {
            const [warning, ...more] = await readAll(server.endpoint);
            assert.match(warning ?? "", /^The cached copy of org\/tiny is used .* cannot be written/);
            assert.deepEqual(more, []);
          });
        }, { models: { [MODEL]: { next: copy } }, branches: { main: "next" } });
      });
    });
  },
});

Deno.test("commands say that the cache is used as the hub refuses, and why", async () => {
  await withHub(async (hub) => {
    for (const name of ["vae", "transformer", "text_encoder"] as const) await fileOf(models(hub), name);
    hub.server.answer = () => failure(404, "RepoNotFound");
    await inFolder(async (folder) => {
      const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir, HF_TOKEN: "" };
      const size = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2"];
      const gen = async (...more: string[]): Promise<{ stdout: string; stderr: string }> => {
        const args = ["gen", "cute cat", "-m", MODEL, ...size, "-o", "a.png", "--no-store", ...more];
        const { code, ...output } = await startCliWith(folder, env, ...args).output();
        const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
          new TextDecoder().decode(bytes)
        );
        assert.equal(code, 0, stderr);
        return { stdout: stdout!, stderr: stderr! };
      };
      assert.match(
        (await gen()).stderr,
        /^warning: The cached copy of org\/tiny is used .*no such model.*\n$/,
      );
      assert.equal((await gen("--quiet")).stderr, "");
      const { stdout, stderr } = await gen("--json");
      const warnings = stdout.trim().split("\n").map((line) => JSON.parse(line)).filter(({ type }) =>
        type === "warning"
      );
      assert.equal(stderr, "");
      assert.equal(warnings.length, 1);
      assert.match(warnings[0].message, /no such model/);
    });
  });
});

Deno.test("LocalModels asks nothing for the components of a commit that are in the cache", async () => {
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
      assert.ok(hub.server.requests.length > again, "the hub alone knows whether there is a variant");
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("LocalModels stops in the middle of a component, and goes on there", async () => {
  await withHub(async (hub) => {
    hub.server.intercept = (file, bytes) => file === TRANSFORMER ? halted(bytes, 200_000) : undefined;
    const controller = new AbortController();
    whenBegun(hub.blob(TRANSFORMER)).then(() => controller.abort(new Error("enough")));
    const local = models(hub);
    const stopped = await modelsWithSignal(local, controller.signal).component(
      { model: MODEL },
      "transformer",
    );
    await assert.rejects(stopped.weights(), { message: "enough" });
    assert.deepEqual(weightsOf(snapshot(hub)), []);
    const kept = Deno.statSync(`${hub.blob(TRANSFORMER)}.incomplete`).size;
    assert.ok(kept > 0);

    // The signal of one run says nothing to the next.
    hub.server.intercept = undefined;
    assert.equal(await fileOf(local, "transformer"), TRANSFORMER);
    assert.equal(hub.server.requestsFor(TRANSFORMER).at(-1)?.range, `bytes=${kept}-`);
  });
});

Deno.test("LocalModels keeps the former commit of a branch for offline use until the new one holds as much", async () => {
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

Deno.test("LocalModels opens components of a repository that has no model index", async () => {
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
      await assert.rejects(models(hub).open({ model: MODEL }), { message: /must hold model_index.json/ });
    }, { models: { [MODEL]: { main: copy } } });
  });
});

Deno.test("models of the hub are called by their names, never by a commit", async () => {
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

Deno.test("pictures and artifacts name a model of the hub by its name", async () => {
  await withHub(async (hub) => {
    await inFolder(async (folder) => {
      const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir, HF_TOKEN: "" };
      const size = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2"];
      const files = ["-o", "a.png", "--save-latents", "a.safetensors"];
      const { code, stderr } = await startCliWith(
        folder,
        env,
        "gen",
        "cute cat",
        "-m",
        MODEL,
        ...size,
        ...files,
      )
        .output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const { artifact } = await readArtifactFile(join(folder, "a.safetensors"));
      assert.equal(artifact.metadata["model"], MODEL);
      const { metadata } = await decodePicture(await Deno.readFile(join(folder, "a.png")));
      assert.match(metadata["parameters"] ?? "", /\bModel: org\/tiny\b/);
      assert.ok(!Object.values(metadata).some((text) => text.includes(commitOf(MODEL, "main"))));
    });
  });
});

Deno.test("each command downloads the component that it uses", async () => {
  await withHub(async (hub) => {
    await inFolder(async (folder) => {
      const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir, HF_TOKEN: "" };
      const run = async (...args: string[]): Promise<void> => {
        const { code, stderr } = await startCliWith(folder, env, ...args, "--no-store").output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
      };
      const size = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2"];
      const made = await runCli(
        folder,
        ...["gen", "cute cat", "-m", TINY, ...size, "-o", "a.png"],
        ...["--save-embeds", "e.safetensors", "--save-latents", "l.safetensors"],
      );
      assert.equal(made.status, 0, made.stderr);
      await run("decode", "l.safetensors", "-m", MODEL, "-o", "b.png");
      assert.deepEqual(weightsOf(snapshot(hub)), [VAE]);
      await rm(snapshot(hub), { recursive: true });
      await run("denoise", "e.safetensors", "-m", MODEL, ...size, "-o", "m.safetensors");
      assert.deepEqual(weightsOf(snapshot(hub)), [TRANSFORMER]);
      assert.ok(!existsSync(hub.blob(TEXT)));
      assert.equal(hub.server.requestsFor(TEXT).length, 0);
    });
  });
});

Deno.test("Ctrl-C stops the download of a component, and the next command goes on with it", async () => {
  await withHub(async (hub) => {
    await inFolder(async (folder) => {
      const size = ["-W", "64", "-H", "48", "--no-resolution-binning", "--steps", "2"];
      const latents = ["--until", "denoise", "--save-latents", "l.safetensors"];
      const made = await runCli(folder, "gen", "cute cat", "-m", TINY, ...size, ...latents);
      assert.equal(made.status, 0, made.stderr);
      const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir, HF_TOKEN: "" };
      const decode = () => startCliWith(folder, env, "decode", "l.safetensors", "-m", MODEL, "-o", "a.png");

      hub.server.intercept = (file, bytes) => file === VAE ? halted(bytes, 10_000) : undefined;
      const stopped = decode();
      await whenBegun(hub.blob(VAE));
      stopped.kill("SIGINT");
      const { code, stderr } = await stopped.output();
      assert.equal(code, 130, new TextDecoder().decode(stderr));

      hub.server.intercept = undefined;
      assert.equal((await decode().output()).code, 0);
      assert.deepEqual(hub.server.requestsFor(VAE).map(({ range }) => range), [null, "bytes=10000-"]);
      assert.deepEqual(weightsOf(snapshot(hub)), [VAE]);
    });
  });
});

Deno.test("plan reads the headers of the weights on the hub, and downloads none", async () => {
  await withHub(async (hub) => {
    await inFolder(async (folder) => {
      const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir };
      const plan = async (model: string, ...more: string[]): Promise<unknown> => {
        const child = startCliWith(folder, env, "plan", "cute cat", "-m", model, "--json", ...more);
        const { code, stdout, stderr } = await child.output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        return JSON.parse(new TextDecoder().decode(stdout));
      };
      const expected = await plan(TINY);
      assert.deepEqual(await plan(MODEL), expected);
      assert.equal(existsSync(snapshot(hub)), false);
      // Of a commit the small files may be here already.
      await models(hub).open({ model: `${MODEL}@${commitOf(MODEL, "main")}` });
      assert.deepEqual(await plan(MODEL, "--revision", commitOf(MODEL, "main")), expected);
      assert.deepEqual(weightsOf(snapshot(hub)), []);
      const received = hub.server.requestsFor(TEXT);
      assert(received.length > 0 && received.every(({ range }) => range !== null));
    });
  });
});
