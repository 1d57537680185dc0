import assert from "node:assert/strict";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { HttpStore } from "../../artifacts/store/http_store.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import { combinedStore, type RunStore } from "../../artifacts/store/store.ts";
import type { CheckpointPolicy } from "../../graph/checkpoints.ts";
import type { RunEvent } from "../../graph/events.ts";
import { HttpExecutor } from "../../graph/executors/http.ts";
import { runGraph } from "../../graph/run.ts";
import type { RunOptions } from "../../graph/run_options.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { localRun } from "../../local.ts";
import { goldenPath } from "../goldens.ts";
import { serving } from "../server/serving.ts";
import { withFolder } from "../store/samples.ts";

const TINY = goldenPath("checkpoints/tiny-alpha-512");
const STEPS = 6;

// The scheduler draws noise at every step and two pictures share the prompt: the snapshot holds all that one can.
const graph = textToImage({
  model: TINY,
  prompts: ["cute cat"],
  imagesPerPrompt: 2,
  seeds: [3],
  steps: STEPS,
  scheduler: "euler_a",
  width: 64,
  height: 64,
  resolutionBinning: false,
}, { guided: true });

const POLICIES: Readonly<Record<string, { policy: CheckpointPolicy | false; count: number }>> = {
  "no snapshots": { policy: false, count: 0 },
  "a snapshot at every step": { policy: { everySteps: 1 }, count: 2 * STEPS },
  "a snapshot at every fifth step": { policy: { everySteps: 5 }, count: 2 },
  "snapshots by the clock": { policy: { everyMs: 0 }, count: 2 * STEPS },
};

/** Runs the graph, its denoising in an executor, the rest in this thread. */
async function run(
  executor: string,
  executors: RunOptions["executors"],
  options: Partial<RunOptions>,
): Promise<{ events: RunEvent[]; id: string | undefined }> {
  const events: RunEvent[] = [];
  const made = await runGraph(graph, {
    ...localRun({ threads: 1 }),
    placement: { denoise: executor },
    ...options,
    executors,
    onEvent(event) {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return { events, id: made.get("decode.image")?.id };
}

/** Runs it until its second snapshot, where it is stopped. */
async function runToSecondSnapshot(
  executor: string,
  executors: RunOptions["executors"],
  options: Partial<RunOptions>,
): Promise<void> {
  const controller = new AbortController();
  const enough = new Error("enough");
  let kept = 0;
  const stopped = run(executor, executors, {
    ...options,
    signal: controller.signal,
    onEvent: ({ type }) => type === "checkpoint" && ++kept === 2 && controller.abort(enough),
  });
  await assert.rejects(stopped, enough);
}

Deno.test("every executor gives the same picture with every store, however often it keeps snapshots", async (t) => {
  await using server = await serving({ models: [{ name: TINY, reference: TINY }] });
  const executors: RunOptions["executors"] = [
    ...localRun({ threads: 1 }).executors,
    new HttpExecutor(server.url),
  ];
  const expected = (await run("inline", executors, { checkpoints: false })).id;
  assert.ok(expected);
  const stores: Readonly<Record<string, (folder: string) => RunStore | undefined>> = {
    "no store": () => undefined,
    "a store in memory": () => new MemoryStore(),
    "a store in a folder": (folder) => new FolderStore(folder),
    "a server's store": (folder) => combinedStore(new HttpStore(server.url), new FolderStore(folder)),
  };
  for (const { name } of executors) {
    const place = name === server.url ? "another server" : name;
    for (const [kind, open] of Object.entries(stores)) {
      for (const [when, { policy, count }] of Object.entries(POLICIES)) {
        await t.step(`${place}, ${kind}, ${when}`, () =>
          withFolder(async (folder) => {
            const { id, events } = await run(name, executors, { store: open(folder), checkpoints: policy });
            assert.equal(id, expected);
            const kept = events.filter(({ type }) => type === "checkpoint").length;
            // Another server keeps its own.
            assert.equal(kept, place === "another server" ? 0 : count);
          }));
      }
      if (kind === "no store" || place === "another server") continue;
      await t.step(`${place}, ${kind}, on from the second snapshot`, () =>
        withFolder(async (folder) => {
          const options = { store: open(folder), checkpoints: { everySteps: 2 } };
          await runToSecondSnapshot(name, executors, options);
          const { id, events } = await run(name, executors, options);
          assert.equal(id, expected);
          const resumed = events.find(({ type }) => type === "stage:resumed");
          assert.ok(resumed?.type === "stage:resumed" && resumed.step === 4, JSON.stringify(resumed));
        }));
    }
  }
});
