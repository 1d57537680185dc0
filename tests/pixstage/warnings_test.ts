import assert from "node:assert/strict";
import { join } from "node:path";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { RunEvent } from "../../graph/events.ts";
import { open } from "../../local.ts";
import { goldenPath } from "../goldens.ts";
import { withFolder } from "../models/checkpoint/copies.ts";
import { MODEL, withHub } from "../hub/with_hub.ts";

const model = goldenPath("checkpoints/tiny-alpha-512");
const SMALL = { width: 64, height: 64, resolutionBinning: false, steps: 2 };

Deno.test("every result includes its warnings, computed or found in the store", async () => {
  await using pix = await open({ model, store: new MemoryStore(), threads: 1 });
  const long = { maxSequenceLength: 4 };
  for (const run of ["made", "found"]) {
    const embeddings = await pix.encode("a boat on the lake", long);
    assert.equal(embeddings.warnings.length, 1, run);
    assert.match(embeddings.warnings[0]!, /^The prompt "a boat on the lake" has more than 4 tokens: "/);

    const latents = await pix.denoise(embeddings, { ...SMALL, steps: 3, timesteps: [900, 500] });
    assert.deepEqual(latents.warnings, ["steps has no effect together with timesteps: the run has 2"], run);

    const [decoded] = await pix.decode(latents, { tileSize: 256, tileOverlap: 64 });
    assert.deepEqual(decoded?.warnings, ['tileSize and tileOverlap have no effect with tiling "auto"'], run);

    const request = { ...SMALL, prompt: "cat", negativePrompt: "blurry", guidanceScale: 1 };
    const [image] = await pix.generate(request);
    assert.deepEqual(
      image?.warnings,
      ["The negative prompt has no effect without guidance: the guidance scale is 1"],
      run,
    );
  }
});

Deno.test("a prompt that cleaning empties makes the empty prompt's picture, with a warning each time", async () => {
  await using pix = await open({ model, store: new MemoryStore(), threads: 1 });
  const [empty] = await pix.generate({ ...SMALL, prompt: "" });
  assert.deepEqual(empty?.warnings, []);
  for (const run of ["made", "found"]) {
    const [cat] = await pix.generate({ ...SMALL, prompt: "一只可爱的猫" });
    assert.match(
      cat!.warnings.join(),
      /^Cleaning the prompt "一只可爱的猫" left nothing: the picture is that of/,
      run,
    );
    assert.deepEqual(cat!.made.artifact.tensors, empty!.made.artifact.tensors, run);
  }
});

Deno.test("an unwritable store stops no call of the library, and each call says why nothing is stored", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "");
    await using pix = await open({ model, store: join(file, "store"), threads: 1 });
    const embeddings = await pix.encode("cat");
    const latents = await pix.denoise(embeddings, SMALL);
    const [image] = await pix.decode(latents);
    for (const { warnings } of [embeddings, latents, image!]) {
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0]!,
        /^The results of this call are not kept: Cannot write .*\. Open another folder as the store/,
      );
    }
    await latents.save(join(folder, "latents.safetensors"));
    const [resumed] = await pix.resume(join(folder, "latents.safetensors"));
    assert.deepEqual(resumed?.made.id, image?.made.id);
  });
});

Deno.test("a full store stops no call of the library", async () => {
  class Full extends MemoryStore {
    override put(): Promise<string> {
      return Promise.reject(new Error("the disk is full"));
    }
  }
  await using pix = await open({ model, store: new Full(), threads: 1 });
  const embeddings = await pix.encode("cat");
  const latents = await pix.denoise(embeddings, SMALL);
  const [image] = await pix.decode(latents);
  assert.equal(image?.width, 64);
  for (const { warnings } of [embeddings, latents, image!]) {
    assert.deepEqual(warnings, ["The store does not keep this run's artifacts: the disk is full"]);
  }
});

Deno.test("a call warns that it uses a cached copy because the hub refuses, in processes too", async () => {
  await withHub(async ({ server, cacheDir }) => {
    const options = { endpoint: server.endpoint, cacheDir, store: false, model: MODEL, threads: 1 } as const;
    {
      await using pix = await open(options);
      await pix.encode("cat");
    }
    server.answer = () => new Response(null, { status: 401 });
    for (const executor of ["inline", "process"]) {
      const events: RunEvent[] = [];
      await using pix = await open({ ...options, executor });
      const { warnings } = await pix.encode("cat", { onEvent: (event) => events.push(event) });
      assert.match(warnings.join("\n"), /^Using the cached copy of .* \(main as of commit/, executor);
      assert.ok(events.some((event) => event.type === "warning" && event.message === warnings[0]));
    }
  });
});
