import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { LocalModels } from "../../hub/local_models.ts";
import { withCopy } from "../models/checkpoint/copies.ts";
import { MODEL, withHub } from "../hub/with_hub.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

Deno.test("inspect names a missing component that the model index declares", async () => {
  await withCopy(TINY, async (copy) => {
    await rename(join(copy, "text_encoder"), join(copy, "text_encoder_old"));
    await inFolder(async (folder) => {
      const { stdout } = await runHere(folder, "inspect", copy);
      assert.match(
        stdout,
        /text_encoder: missing: model_index\.json declares it, but the folder text_encoder/,
      );
      assert.match(stdout, /transformer:\n\s+class: PixArtTransformer2DModel/);
    });
  });
});

Deno.test("a model in the hub's cache is listed under its name, not its commit", async () => {
  await withHub(async ({ server, cacheDir }) => {
    const models = new LocalModels({ endpoint: server.endpoint, cacheDir });
    assert.equal((await models.open({ model: MODEL })).name, MODEL);
    assert.equal((await models.component({ model: MODEL }, "vae")).name, `${MODEL}/vae`);
  });
});
