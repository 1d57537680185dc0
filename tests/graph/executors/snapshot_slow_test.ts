import assert from "node:assert/strict";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { HttpStore } from "../../../artifacts/store/http_store.ts";
import { MemoryStore } from "../../../artifacts/store/memory_store.ts";
import { combinedStore, type RunStore } from "../../../artifacts/store/store.ts";
import type { GraphDocumentInput } from "../../../graph/document.ts";
import type { RunEvent } from "../../../graph/events.ts";
import { HttpExecutor } from "../../../graph/executors/http.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { runGraph } from "../../../graph/run.ts";
import type { RunOptions } from "../../../graph/run_options.ts";
import type { SnapshotPolicy } from "../../../graph/snapshots.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { localRun } from "../../../local.ts";
import { withFolder } from "../../artifacts/store/samples.ts";
import { goldenPath } from "../../goldens.ts";
import { serving } from "../../server/serving.ts";

const TINY = goldenPath("checkpoints/tiny-alpha-512");
const STEPS = 6;

// The scheduler draws noise in every step, and two pictures share the prompt. The snapshot thus contains
// everything that a snapshot can contain.
const request: PictureRequestInput = {
  model: TINY,
  prompts: ["cute cat"],
  imagesPerPrompt: 2,
  seeds: [3],
  steps: STEPS,
  scheduler: "euler_a",
  width: 64,
  height: 64,
  resolutionBinning: false,
};
const graph = textToImage(request);

const POLICIES: Readonly<Record<string, { policy: SnapshotPolicy | false; count: number }>> = {
  "no snapshots": { policy: false, count: 0 },
  "a snapshot at every step": { policy: { everySteps: 1 }, count: 2 * STEPS },
  "a snapshot at every fifth step": { policy: { everySteps: 5 }, count: 2 },
  "snapshots by time": { policy: { everyMs: 0 }, count: 2 * STEPS },
};

/** The place where the denoising runs: the name of an executor, and all executors. */
type Place = readonly [name: string, executors: RunOptions["executors"]];

/** Runs a graph with its denoising at a place, and the rest in this thread. */
async function run(
  [name, executors]: Place,
  options: Partial<RunOptions>,
  document: GraphDocumentInput = graph,
): Promise<{ events: RunEvent[]; id: string | undefined }> {
  const events: RunEvent[] = [];
  const made = await runGraph(document, {
    ...localRun({ threads: 1 }),
    placement: { denoise: name },
    ...options,
    executors,
    onEvent(event) {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return { events, id: made.get("decode.image")?.id };
}

/** Runs the graph until a number of snapshots are stored, and stops it there. */
async function runToSnapshot(
  count: number,
  place: Place,
  options: Partial<RunOptions>,
  document: GraphDocumentInput = graph,
): Promise<void> {
  const controller = new AbortController();
  const enough = new Error("enough");
  let kept = 0;
  const stopped = run(place, {
    ...options,
    signal: controller.signal,
    onEvent: ({ type }) => type === "checkpoint" && ++kept === count && controller.abort(enough),
  }, document);
  await assert.rejects(stopped, enough);
}

/** Provides the executors of this machine, and a server whose store is empty. */
async function withServer(
  test: (executors: RunOptions["executors"], url: string) => Promise<void>,
): Promise<void> {
  await using server = await serving({ models: [{ name: TINY, reference: TINY }] });
  await test([...localRun({ threads: 1 }).executors, new HttpExecutor(server.url)], server.url);
}

/** Returns the step that a run continued from. */
function resumedStep(events: readonly RunEvent[]): number {
  const resumed = events.find(({ type }) => type === "stage:resumed");
  return resumed?.type === "stage:resumed" ? resumed.step : 0;
}

Deno.test("every executor produces the same picture with every store and snapshot interval", async (t) => {
  const { executors } = localRun({ threads: 1 });
  const expected = (await run(["inline", executors], { snapshots: false })).id;
  assert.ok(expected);
  const stores: Readonly<Record<string, (folder: string, url: string) => RunStore | undefined>> = {
    "no store": () => undefined,
    "a store in memory": () => new MemoryStore(),
    "a store in a folder": (folder) => new FolderStore(folder),
    "a server's store": (folder, url) => combinedStore(new HttpStore(url), new FolderStore(folder)),
  };
  // Only artifacts are shared. A server that runs stages knows their results the next time.
  await using shared = await serving();
  const withPlace = async (
    place: string,
    test: (place: Place, url: string) => Promise<void>,
  ): Promise<void> => {
    if (place !== "another server") return await test([place, executors], shared.url);
    await withServer((all, url) => test([url, all], url));
  };
  for (const place of ["inline", "worker", "process", "another server"]) {
    for (const [kind, open] of Object.entries(stores)) {
      for (const [when, { policy, count }] of Object.entries(POLICIES)) {
        await t.step(
          `${place}, ${kind}, ${when}`,
          () =>
            withFolder((folder) =>
              withPlace(place, async (where, url) => {
                const { id, events } = await run(where, { store: open(folder, url), snapshots: policy });
                assert.equal(id, expected);
                const kept = events.filter(({ type }) => type === "checkpoint").length;
                // A server can replace a snapshot with the next one before it is fetched.
                if (place === "another server") assert.ok(kept <= count, `${kept}`);
                else assert.equal(kept, count);
              })
            ),
        );
      }
      if (kind === "no store" || place === "another server") continue;
      await t.step(`${place}, ${kind}, resumed from the second snapshot`, () =>
        withFolder(async (folder) => {
          const options = { store: open(folder, shared.url), snapshots: { everySteps: 2 } };
          await runToSnapshot(2, [place, executors], options);
          const { id, events } = await run([place, executors], options);
          assert.equal(id, expected);
          assert.equal(resumedStep(events), 4);
        }));
    }
  }
});

Deno.test("denoising that stopped on one server resumes in this thread and on another server", () =>
  withFolder((folder) =>
    withServer(async (executors, url) => {
      // Steps that take long enough to fetch a snapshot before the next one.
      const large = textToImage({ ...request, width: 256, height: 256 });
      const expected = (await run(["inline", executors], { snapshots: false }, large)).id;
      for (const name of ["inline", "another server"]) {
        const options = { store: new FolderStore(`${folder}/${name}`), snapshots: { everySteps: 2 } };
        await runToSnapshot(1, [url, executors], options, large);
        const goOn = async (place: Place): Promise<void> => {
          const { id, events } = await run(place, { ...options, snapshots: false }, large);
          assert.equal(id, expected);
          const step = resumedStep(events);
          assert.ok(step >= 2 && step % 2 === 0, `${step}`);
        };
        if (name === "inline") await goOn([name, executors]);
        else await withServer((others, other) => goOn([other, others]));
      }
    })
  ));
