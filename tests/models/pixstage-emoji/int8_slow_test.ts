import assert from "node:assert/strict";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../../../hub/local_models.ts";
import { type Pixels, toPixels } from "../../../images/pixels.ts";
import { psnr } from "../../../images/similarity.ts";
import { localRun } from "../../../local.ts";
import { misnamed } from "./misnamed.ts";

/** PSNR in decibels that nearly all pictures reach. */
const BAR = 35;
/**
 * Maximum number of prompts below that value. When measured, 2 of 32 were below it, the lowest at 28.6 dB.
 */
const MOST_BELOW = 2;
const LEAST = 25;

Deno.test("32 pictures in int8 nearly equal those in float32 and show the same subjects", async () => {
  const list = await Deno.readTextFile(
    new URL("../../../models/pixstage-emoji/prompts.txt", import.meta.url),
  );
  const prompts = list.trim().split("\n");
  assert.equal(prompts.length, 32);
  const [exact, bytes] = await Promise.all((["float32", "int8"] as const).map(async (precision) => {
    const request = { model: DEFAULT_MODEL, prompts, seeds: prompts.map(() => 0) };
    const made = await runGraph(textToImage({ ...request, precision: { "*": precision } }), localRun());
    return toPixels(made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">);
  })) as [Pixels[], Pixels[]];
  const ratios = bytes.map((picture, index) => psnr(exact[index]!, picture));
  const told = ratios.map((ratio, index) => `${prompts[index]} ${ratio.toFixed(1)}`).join(", ");
  assert.ok(ratios.filter((ratio) => ratio < BAR).length <= MOST_BELOW, told);
  assert.ok(Math.min(...ratios) > LEAST, told);
  const wrong = await misnamed(bytes.map((picture, index) => ({ prompt: prompts[index]!, picture })));
  assert.deepEqual(wrong, []);
});
