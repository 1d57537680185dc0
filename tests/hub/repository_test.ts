import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hubSettings } from "../../hub/hub_settings.ts";
import { readRepository, type Repository, repositorySource } from "../../hub/repository.ts";
import { commitOf, hashOf } from "./hub_server.ts";
import { filesOf, type Hub, MODEL, TINY, TRANSFORMER, withHub } from "./with_hub.ts";

/** Requests the default model from the hub. */
async function read({ server, cacheDir }: Hub, revision = "main", signal?: AbortSignal): Promise<Repository> {
  const settings = await hubSettings({ endpoint: server.endpoint, cacheDir });
  return await readRepository(settings, { model: MODEL, revision, stallTimeout: 1000, signal }, { tries: 1 });
}

Deno.test("readRepository() lists the files of all pages, with their sizes and hashes", async () => {
  await withHub(async (hub) => {
    const { commit, files } = await read(hub);
    assert.equal(commit, commitOf(MODEL, "main"));
    assert.deepEqual([...files.keys()].sort(), filesOf(TINY));
    assert.ok(files.size > 10, "more than a page");
    for (const [path, file] of files) {
      const bytes = readFileSync(join(TINY, path));
      const { oid, lfs } = hashOf(path, bytes);
      assert.deepEqual(file, { path, size: bytes.length, hash: lfs ?? oid });
    }
  });
});

Deno.test("readRepository() refuses replies that do not come from a hub", async () => {
  await withHub(async (hub) => {
    const answers = [
      new Response("<html>Log in first</html>"),
      Response.json({ sha: "../.." }),
      Response.json([{ type: "file", path: "a", size: -1, oid: "0".repeat(40) }]),
      Response.json(null),
    ];
    for (const answer of answers) {
      hub.server.answer = () => answer;
      await assert.rejects(read(hub), {
        name: "HubError",
        code: "unreachable",
        message: /does not answer like a hub/,
      });
    }
    hub.server.answer = undefined;
    await assert.rejects(read(hub, "main", AbortSignal.abort(new Error("stopped"))), { message: "stopped" });
  });
});

Deno.test("repositorySource() lists all files, and reads the downloaded ones", async () => {
  await withHub(async (hub) => {
    const source = repositorySource(MODEL, await read(hub), ({ path }) => Deno.readFile(join(TINY, path)));
    assert.equal(source.name, MODEL);
    assert.deepEqual(await source.list("vae"), ["config.json", "diffusion_pytorch_model.safetensors"]);
    assert.deepEqual(await source.list("none"), []);
    assert.deepEqual([await source.exists("vae"), await source.exists("va")], [true, false]);
    assert.equal(await source.size(TRANSFORMER), readFileSync(join(TINY, TRANSFORMER)).length);
    const config = readFileSync(join(TINY, "vae/config.json"));
    assert.equal(await source.readText("vae/config.json"), config.toString());
    assert.deepEqual(await source.readBytes("vae/config.json", 2, 5), new Uint8Array(config.subarray(2, 5)));
    await assert.rejects(source.readText("none"), { name: "HubError", code: "file_not_found" });
  });
});
