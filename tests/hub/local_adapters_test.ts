import assert from "node:assert/strict";
import { GivenModels } from "../../models/checkpoint/given_models.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { modelsOfRun } from "../../models/models_of_run.ts";
import { adapterPath } from "../stages/lora_cases.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { EMBEDDED_LORAS } from "../../hub/embedded_model.ts";
import { fitAdapter } from "../../models/lora/fit_adapter.ts";
import { MODEL, models, weightsOf, withHub } from "./with_hub.ts";

const PEFT = adapterPath("peft-attn-a");

Deno.test("a LoRA on the hub is downloaded once, and found in the cache without the hub", async () => {
  await withHub(async (hub) => {
    const first = await models(hub).adapter(MODEL);
    assert.equal(first.name, MODEL);
    assert.equal(first.layers.length, 24);
    assert.deepEqual(weightsOf(hub.cacheDir).length, 1);
    const asked = hub.server.requestsFor("adapter_model.safetensors").length;
    const again = await modelsOfRun(models(hub), new AbortController().signal).adapter!(`${MODEL}@main`);
    assert.deepEqual(again.weights.names, first.weights.names);
    assert.equal(hub.server.requestsFor("adapter_model.safetensors").length, asked);
    const offline = await models(hub, { localFilesOnly: true }).adapter(MODEL);
    assert.deepEqual(offline.weights.names, first.weights.names);
  }, { models: { [MODEL]: { main: PEFT } } });
});

Deno.test("a LoRA on the hub is planned without a download, and other files are refused", async () => {
  await withHub(async (hub) => {
    const planned = await models(hub).withoutDownloads().adapter(MODEL);
    assert.equal(planned.layers.length, 24);
    assert.deepEqual(weightsOf(hub.cacheDir), []);
    await assert.rejects(models(hub, { localFilesOnly: true }).adapter(MODEL), { code: "offline" });
    await assert.rejects(models(hub).adapter("org/none"), { code: "model_not_found" });
    await assert.rejects(models(hub).adapter("../org/none"), { code: "adapter_not_found" });
  }, { models: { [MODEL]: { main: PEFT } } });
  await withHub(async (hub) => {
    await assert.rejects(models(hub).adapter(MODEL), {
      code: "adapter_not_found",
      message: /contains model_index/,
    });
  });
});

Deno.test("a fixed list of models opens a LoRA as a separate source", async () => {
  const given = new GivenModels({ sketch: await openDiskSource(PEFT) });
  assert.equal((await given.adapter("sketch")).name, "sketch");
  await assert.rejects(given.adapter("other"), { code: "invalid_checkpoint" });
});

Deno.test("the embedded model's LoRAs are found by name and fit the model", async () => {
  const local = new LocalModels({ localFilesOnly: true });
  const model = await local.component({ model: "pixstage-emoji" }, "transformer");
  for (const name of EMBEDDED_LORAS) {
    const { branches, isUnscaled } = fitAdapter(await local.adapter(name), await model.weights());
    assert.equal(branches.size, 8 * 7);
    assert.equal(isUnscaled, false);
  }
  assert.deepEqual(EMBEDDED_LORAS, ["pixstage-emoji/chalk"]);
});
