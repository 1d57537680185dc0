import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { listModels } from "../../hub/list_models.ts";
import { tinyCheckpoint, withFolder } from "../checkpoint/copies.ts";
import { fetchModel } from "./fetch_model.ts";
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

    const found = (await listModels({ cacheDir })).filter(({ folder }) => folder.startsWith(cacheDir));
    assert.deepEqual(found, [
      { name: model, folder: main, bytes: bytesBelow(lcm) },
      { name: `${model}@refs/pr/1`, folder: branch, bytes: bytesBelow(sigma) },
      { name: `org/by-commit@${commit}`, folder: single, bytes: bytesBelow(sigma) },
    ]);
  });
  assert.ok(Array.isArray(await listModels({ cacheDir: "/no/such/folder" })));
});
