import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HubError } from "../../hub/hub_error.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { openCheckpoint } from "../../models/checkpoint/checkpoint.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { fingerprint } from "../../models/checkpoint/fingerprint.ts";
import { withVariables } from "../environment.ts";
import { tinyCheckpoint, withCopy, withFolder } from "../models/checkpoint/copies.ts";
import { commitOf, failure, type HubServer, silence } from "./hub_server.ts";
import { fileOf, MODEL, models, snapshot, TINY, TRANSFORMER, VAE, withHub } from "./with_hub.ts";

Deno.test("HubModel opens branches, pull requests and commits", async () => {
  const models = {
    [MODEL]: { main: tinyCheckpoint("tiny-lcm"), "refs/pr/1": tinyCheckpoint("tiny-sigma") },
  };
  await withHub(async ({ server, resolve }) => {
    const branch = await resolve(MODEL, { revision: "refs/pr/1" });
    assert.equal((await openCheckpoint(await openDiskSource(branch))).family, "sigma");
    assert.equal((await openCheckpoint(await openDiskSource(await resolve()))).family, "alpha");
    const before = server.requests.length;
    assert.equal(await resolve(MODEL, { revision: commitOf(MODEL, "refs/pr/1") }), branch);
    assert.equal(server.requests.length, before, "a cached commit needs no request");
    assert.equal(await resolve(MODEL, { revision: "refs/pr/1", localFilesOnly: true }), branch);
  }, { models });
});

Deno.test("HubModel needs no network for cached files", async () => {
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

Deno.test("a model opens offline if the cache has the needed files; otherwise the error names the missing ones", async () => {
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
    // A removed blob leaves a broken link.
    await rm(hub.blob(VAE));
    await assert.rejects(fileOf(offline, "vae"), {
      code: "offline",
      message: /vae\/.*\.safetensors is missing/,
    });
    assert.equal(await fileOf(models(hub), "vae"), VAE);
  });
});

Deno.test("a cached copy is used if the hub refuses, with a warning that says why", async () => {
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
      using _variables = withVariables({ HF_TOKEN_PATH: stored });
      for (const [answer, ...told] of answers) {
        const warnings: string[] = [];
        hub.server.answer = () => answer.clone();
        const local = models(hub, { tries: 1, onWarning: (message) => warnings.push(message) });
        assert.equal(await fileOf(local, "vae"), VAE);
        assert.equal(await fileOf(local, "transformer"), TRANSFORMER);
        assert.equal(warnings.length, 1, warnings.join());
        assert.match(
          warnings[0]!,
          /^Using the cached copy of org\/tiny \(main as of commit [0-9a-f]{7}\)\. /,
        );
        for (const part of told) assert.match(warnings[0]!, part);
        // The error for a file that the cache lacks contains the hub's reason.
        await assert.rejects(fileOf(local, "text_encoder"), (error) => {
          assert(error instanceof HubError, String(error));
          for (const part of told) assert.match(error.message, part);
          assert.match(error.message, /does not contain all of it: .*text_encoder/);
          return true;
        });
        await assert.rejects(models(hub, { tries: 1 }).open({ model: "org/other" }), { name: "HubError" });
      }
    });
  });
});

Deno.test("a silent hub is tried once if there is a cached copy, otherwise three times, with warnings", async () => {
  await withHub(async (hub) => {
    await fileOf(models(hub), "vae");
    const html = new Response("<html>Log in first</html>", { headers: { "Content-Type": "text/html" } });
    const silences: readonly [answer: NonNullable<HubServer["answer"]>, told: RegExp][] = [
      [(_path, request) => silence(request), /is unreachable \(the server sent nothing for 0\.2 s\)/],
      // The reply starts, then stalls.
      [
        () => new Response(new ReadableStream({ start: (body) => body.enqueue(new Uint8Array([123])) })),
        /sent nothing/,
      ],
      [() => html.clone(), /does not answer like a hub: .*HF_ENDPOINT.*login/],
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
      // When the hub is back, missing files are downloaded.
      hub.server.answer = undefined;
      assert.equal(await fileOf(local, "transformer"), TRANSFORMER);
      await rm(join(snapshot(hub), TRANSFORMER));
    }
  });
});

Deno.test("the former commit is used if the hub lists a new one but refuses its files", async () => {
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
          `Using the cached copy of org/tiny (main as of commit ${before}). Cannot download org/tiny`.slice(
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
