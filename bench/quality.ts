/**
 * How far pictures of the embedded model are from those in float32 when they are made otherwise: PSNR and SSIM over its 32
 * prompts, each way a part of a request.
 *
 *     deno run -A bench/quality.ts [--store FOLDER] '{"precision":{"*":"int8"}}' '{"precision":{"denoise":"int4"}}'
 *
 * @module
 */

import { parseArgs } from "node:util";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { runGraph } from "../graph/run.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { type Pixels, toPixels } from "../images/pixels.ts";
import { psnr, ssim } from "../images/similarity.ts";
import { localRun } from "../local.ts";
import { median } from "./random_transformer.ts";

const { values: { store }, positionals } = parseArgs({
  options: { store: { type: "string" } },
  allowPositionals: true,
});
const local = localRun({ store: store === undefined ? new MemoryStore() : new FolderStore(store) });
const list = await Deno.readTextFile(new URL("../models/pixstage-emoji/prompts.txt", import.meta.url));
const prompts = list.trim().split("\n");

/** The pictures of all prompts, seed 0. */
async function make(way: object): Promise<Pixels[]> {
  const request = { model: DEFAULT_MODEL, ...way, prompts, seeds: prompts.map(() => 0) };
  const made = await runGraph(textToImage(request), local);
  return toPixels(made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">);
}

const exact = await make({});
for (const text of positionals) {
  const pictures = await make(JSON.parse(text));
  const told = (measure: (a: Pixels, b: Pixels) => number, digits: number): string => {
    const values = pictures.map((picture, index) => measure(exact[index]!, picture));
    return `median ${median(values).toFixed(digits)}, least ${Math.min(...values).toFixed(digits)}`;
  };
  Deno.stdout.writeSync(
    new TextEncoder().encode(`${text}: PSNR ${told(psnr, 1)} dB; SSIM ${told(ssim, 4)}\n`),
  );
}
