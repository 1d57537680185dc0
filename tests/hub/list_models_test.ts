import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { listModels } from "../../hub/list_models.ts";
import { resolveModel } from "../../hub/resolve_model.ts";
import { tinyCheckpoint, withFolder } from "../checkpoint/copies.ts";
import { commitOf, startHub } from "./hub_server.ts";

Deno.test("listModels() lists the whole snapshots of the cache with their sizes", async () => {
  await withFolder(async (cacheDir) => {
    const model = "org-1/tiny-x";
    await using hub = startHub({
      models: { [model]: { main: tinyCheckpoint("tiny-taesd"), v2: tinyCheckpoint("tiny-lcm") } },
    });
    const options = { endpoint: hub.endpoint, cacheDir };
    const main = await resolveModel(model, options);
    const v2 = await resolveModel(model, { ...options, revision: "v2" });
    await mkdir(join(cacheDir, `models--org--torn/snapshots/${"0".repeat(40)}`), { recursive: true });

    const found = (await listModels({ cacheDir })).filter(({ folder }) => folder.startsWith(cacheDir));
    const byName = new Map(found.map(({ name, folder }) => [name, folder]));
    assert.deepEqual(byName, new Map([[model, main], [`${model}@${commitOf(model, "v2")}`, v2]]));
    assert.equal(found.find(({ name }) => name === model)?.bytes, 170524 + 647);
  });
  assert.ok(await listModels({ cacheDir: "/no/such/folder" }));
});
