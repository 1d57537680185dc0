import assert from "node:assert/strict";
import { join } from "node:path";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import type { RunEvent } from "../../graph/events.ts";
import { localRun } from "../../local.ts";
import { writeSyntheticCheckpoint } from "../../models/synthetic/write_checkpoint.ts";
import type { Residency } from "../../models/segments.ts";
import { giveBackUnused } from "../../system/freed_memory.ts";
import { memoryFigures } from "../../runtime/memory.ts";
import { LINUX, needing } from "../needing.ts";
import { inOwnProcess } from "../own_process.ts";

/** Number of blocks in the transformer of the small synthetic checkpoint. */
const BLOCKS = 12;
const STEPS = 2;
/** Text encoder of the small synthetic checkpoint in float32: 12 layers of 28 MB. */
const ENCODER_BYTES = 340e6;

async function makePicture(
  model: string,
  residency: Readonly<Record<string, Residency>>,
): Promise<{ id: string; ends: Map<string, Extract<RunEvent, { type: "stage:end" }>>; opened: number }> {
  const request = {
    model,
    prompts: ["a cute cat"],
    steps: STEPS,
    height: 256,
    width: 256,
    resolutionBinning: false,
  };
  const ends = new Map<string, Extract<RunEvent, { type: "stage:end" }>>();
  let opened = 0;
  const made = await runGraph(textToImage(request), {
    ...localRun({ residency }),
    onEvent: (event) => {
      if (event.type === "stage:end") ends.set(event.node, event);
      if (event.type === "stage:load" && event.node === "denoise") opened++;
    },
  });
  return { id: made.get("decode.image")!.id, ends, opened };
}

const test = {
  name:
    "weights are released: streaming holds one layer, a stage only its own weights, and ten runs no more than two",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const model = join(folder, "small");
      await writeSyntheticCheckpoint(model, { preset: "small" });
      // Otherwise the random numbers for the checkpoint would count towards the first stage.
      await giveBackUnused();

      const streamed = await makePicture(model, { "*": "stream" });
      const encode = streamed.ends.get("prompt")!.memory!;
      assert(
        encode.weightBytes! < ENCODER_BYTES / 5,
        `a layer is open at a time, the first with the embedding: ${encode.weightBytes}`,
      );
      const base = encode.resident;
      assert(encode.peak! < base + ENCODER_BYTES / 2, `streaming peaks at ${encode.peak} over ${base}`);

      assert.equal(streamed.opened, BLOCKS * STEPS, "a block is opened once for both halves of guidance");

      const staged = await makePicture(model, { "*": "stage" });
      const held = staged.ends.get("prompt")!.memory!;
      assert(held.weightBytes! > ENCODER_BYTES * 0.9, `all layers are open: ${held.weightBytes}`);
      assert(held.peakFile! > ENCODER_BYTES * 0.9, `all layers are resident: ${held.peakFile}`);
      assert(held.resident < base + ENCODER_BYTES / 2, `after the release ${held.resident} are resident`);

      const resident = await makePicture(model, { "*": "resident" });
      assert.deepEqual([staged.id, resident.id], [streamed.id, streamed.id], "the picture is the same");

      // V8 sizes its heap by the rate of allocations and rarely shrinks it, so the objects in it are counted
      // instead of its size. The least of three runs contains the least garbage.
      const after: number[] = [];
      const objects: number[] = [];
      for (let run = 0; run < 10; run++) {
        await makePicture(model, { "*": "stream" });
        const { heapTotal, heapUsed } = Deno.memoryUsage();
        after.push(memoryFigures().resident - heapTotal);
        objects.push(heapUsed);
      }
      assert(after[9]! < after[1]! * 1.05, `resident outside V8's heap after each of ten runs: ${after}`);
      const [first, last] = [objects.slice(0, 3), objects.slice(-3)].map((three) => Math.min(...three));
      assert(last! < first! + 32e6, `objects after each of ten runs: ${objects}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
};

Deno.test(needing(LINUX, inOwnProcess(import.meta.url, test)));
