import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readArtifactFile } from "../../graph/provenance_file.ts";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, runCli, startCliWith } from "./run_cli.ts";
import { commitOf, failure, halted } from "../hub/hub_server.ts";
import {
  fileOf,
  MODEL,
  models,
  snapshot,
  TEXT,
  TINY,
  TRANSFORMER,
  VAE,
  weightsOf,
  whenBegun,
  withHub,
} from "../hub/with_hub.ts";

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

Deno.test("impossible runs are refused before any weight is downloaded", async () => {
  await withHub(async (hub) => {
    await inFolder(async (folder) => {
      const env = { HF_ENDPOINT: hub.server.endpoint, HF_HUB_CACHE: hub.cacheDir, HF_TOKEN: "" };
      const cases: readonly (readonly [args: readonly string[], told: RegExp])[] = [
        [["--vae-tiling", "blended", "--vae-tile-size", "72"], /^error: --vae-tile-overlap must be smaller/],
        [["--steps", "1"], /^error: --steps: Cannot denoise in one step/],
        [["--scheduler", "eulr"], /^error: --scheduler: No scheduler is named "eulr"/],
        [["-W", "56", "--no-resolution-binning"], /^error: --width: .* multiples of 16/],
        [["--steps", "1", "--executor", "process"], /^error: --steps: Cannot denoise in one step/],
        [["--max-memory", "1MB"], /^error: Cannot stay within 1 MB because encode needs/],
      ];
      for (const [args, told] of cases) {
        const gen = startCliWith(folder, env, "gen", "cute cat", "-m", MODEL, "--no-store", ...args);
        const { code, stderr } = await gen.output();
        assert.match(new TextDecoder().decode(stderr), told);
        assert.equal(code, args[0] === "--max-memory" ? 1 : 2);
      }
      if (existsSync(snapshot(hub))) assert.deepEqual(weightsOf(snapshot(hub)), []);
      for (const file of [TEXT, TRANSFORMER, VAE]) {
        assert.ok(hub.server.requestsFor(file).every(({ range }) => range !== null), file);
      }
    });
  });
});

Deno.test("Ctrl-C stops the download of a component, and the next command continues it", async () => {
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
      // The headers were cached by the first plan.
      const ranges = hub.server.requestsFor(VAE).map(({ range }) => range);
      assert.deepEqual(ranges.filter((range) => range === null || range.endsWith("-")), [
        null,
        "bytes=10000-",
      ]);
      assert.deepEqual(weightsOf(snapshot(hub)), [VAE]);
    });
  });
});

Deno.test("plan reads only the headers of the weights on the hub", async () => {
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
      // The small files of the commit may already be in the cache.
      await models(hub).open({ model: `${MODEL}@${commitOf(MODEL, "main")}` });
      assert.deepEqual(await plan(MODEL, "--revision", commitOf(MODEL, "main")), expected);
      assert.deepEqual(weightsOf(snapshot(hub)), []);
      const received = hub.server.requestsFor(TEXT);
      assert(received.length > 0 && received.every(({ range }) => range !== null));
    });
  });
});

Deno.test("commands wait only seconds for a hub that is down or silent, and say so", async () => {
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

Deno.test("commands say that they use the cache because the hub refuses, and why", async () => {
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
        /^warning: Using the cached copy of org\/tiny .*no such model.*\n$/,
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

Deno.test("pictures and artifacts record the name of a model on the hub", async () => {
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
