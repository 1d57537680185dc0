import assert from "node:assert/strict";
import { join } from "node:path";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { encodePicture } from "../../images/picture.ts";
import { open } from "../../local.ts";
import { goldenPath } from "../goldens.ts";
import { withFolder } from "../models/checkpoint/copies.ts";

const model = goldenPath("checkpoints/tiny-alpha-512");
const SMALL = { width: 64, height: 64, resolutionBinning: false, steps: 2 };

/** Opens the library with a store of its own, which knows nothing of earlier runs. */
function fresh() {
  return open({ model, store: new MemoryStore(), threads: 1 });
}

Deno.test("resume() decodes latents from a file or another store without denoising again, and keeps their lineage", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "latents.safetensors");
    await using first = await fresh();
    const latents = await first.denoise(await first.encode("cat"), SMALL);
    const [picture] = await first.decode(latents);
    await latents.save(path);
    for (const point of [path, latents]) {
      await using pix = await fresh();
      const started: string[] = [];
      const [resumed] = await pix.resume(point, {
        onEvent: (event) => event.type === "stage:start" && started.push(event.stage),
      });
      assert.deepEqual(started, ["decode"]);
      assert.equal(resumed!.made.id, picture!.made.id);
      assert.deepEqual(resumed!.made.provenance, picture!.made.provenance);
    }
  });
});

Deno.test("resume() continues from files of embeddings without encoding again", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "embeddings.safetensors");
    await using first = await fresh();
    await (await first.encode("cat")).save(path);
    await using pix = await fresh();
    const started: string[] = [];
    const onEvent = (event: { readonly type: string; readonly stage?: unknown }) =>
      event.type === "stage:start" && started.push(String(event.stage));
    const [picture] = await pix.resume(path, { onEvent });
    assert.deepEqual(started, ["denoise", "decode"]);
    const nodes = Object.values(picture!.made.provenance.graph.nodes).map(({ stage }) => stage);
    assert.deepEqual(nodes.sort(), ["decode", "denoise", "encode", "encode"]);
  });
});

Deno.test("resume() continues from a picture file that records how it was made, in every format", async () => {
  await withFolder(async (folder) => {
    await using first = await fresh();
    const [picture] = await first.generate({ ...SMALL, prompt: "cat", seed: 3 });
    const [expected] = await first.generate({ ...SMALL, prompt: "cat", seed: 4 });
    for (const format of ["png", "jpg", "webp"]) {
      const path = join(folder, `cat.${format}`);
      await picture!.save(path);
      await using pix = await fresh();
      const [resumed] = await pix.resume(path, { seeds: [4] });
      assert.equal(resumed!.made.id, expected!.made.id, format);
      await assert.rejects(pix.resume(path), /Cannot continue from a picture because it is finished/);
    }
    const path = join(folder, "plain.png");
    await Deno.writeFile(path, await encodePicture(picture!.pixels, { format: "png" }));
    await assert.rejects(first.resume(path, { seeds: [4] }), /neither the file nor the store records/);
  });
});
