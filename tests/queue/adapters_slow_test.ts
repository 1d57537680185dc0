import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { QueueExecutorOptions } from "../../queue/queue_executor.ts";
import { needing } from "../needing.ts";
import { failure, Place } from "./place.ts";
import { REDIS } from "./queue_servers.ts";

Deno.test(needing(REDIS, {
  name: "a worker without a LoRA never takes a job that needs it, and a worker with it does",
  async fn() {
    await using place = await Place.open();
    const run = (weight: number, options: QueueExecutorOptions = {}) =>
      place.run(adapted(weight), { ...options, snapshots: false });
    const [without] = await place.workers(["encode,denoise"]);
    const { code, message } = await failure(run(1, { patienceMs: 2000 }));
    assert.equal(code, "unreachable", message);
    assert.match(
      message,
      /runs the stage "denoise" in version \d+ with the model "pixstage-emoji" and "chalky"/,
    );

    // A worker that starts with the LoRA finds the waiting job.
    const running = run(1, { patienceMs: 60_000 });
    const [having] = await place.workers(["denoise"], { args: ["--loras", `chalky=${CHALK}`] });
    const made = await running;
    assert.match(JSON.stringify(made.get("latents.latents")!.provenance), /"component":"lora"/);
    await Promise.all([0.25, 0.5, 0.75].map((weight) => run(weight)));
    assert.equal(having!.done("denoise").length, 4);
    assert.equal(without!.done("denoise").length, 0);
    assert.ok(without!.events.every(({ event }) => event !== "refused"), without!.log);

    // The worker with the LoRA reports errors in the request.
    const wrong = await failure(place.run(adapted(1, { scheduler: "nonsense" })));
    assert.deepEqual([wrong.code, wrong.fault], ["unknown_scheduler", "caller"]);
  },
}));

const CHALK = fileURLToPath(new URL("../../models/pixstage-emoji/loras/chalk", import.meta.url));

/** Returns a graph that denoises with a LoRA under the workers' own name. */
function adapted(weight: number, parameters: object = {}): object {
  const model = "pixstage-emoji";
  return {
    prompt: { stage: "encode", parameters: { model, prompts: ["cute cat"] } },
    latents: {
      stage: "denoise",
      parameters: { model, steps: 2, guidanceScale: 1, loras: [{ name: "chalky", weight }], ...parameters },
      inputs: { embeddings: "prompt.embeddings" },
    },
  };
}
