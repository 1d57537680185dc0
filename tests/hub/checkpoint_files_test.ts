import assert from "node:assert/strict";
import { openCheckpoint } from "../../models/checkpoint/checkpoint.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { testOnVariants, tinyCheckpoint } from "../models/checkpoint/copies.ts";
import {
  fileOf,
  MODEL,
  models,
  TEXT,
  TRANSFORMER,
  VAE,
  weightsOf,
  withHub,
  withVariants,
} from "./with_hub.ts";

testOnVariants(
  "only the requested variant of the requested components is downloaded",
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

Deno.test("variants are chosen by the hub's files, not the cache's", async () => {
  await withVariants({ [TRANSFORMER]: "renamed", [VAE]: "copied" }, async (copy) => {
    await withHub(async (hub) => {
      // The cache has the plain autoencoder. The hub also has its variant.
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

Deno.test("variants are chosen by the cache's files if the hub is unreachable", async () => {
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
