/**
 * Measures how much pictures of the embedded model change under options: PSNR, SSIM and GMSD over its prompts
 * against those of `--base` (float32 in 8 steps by default), how many have at least 35 dB, and which are
 * nearest to a drawing of something other than what their prompt names. Each argument is a part of a request,
 * added to the base. `--times` also measures the processor time of denoising some prompts, in turn, as a
 * fraction of the base's.
 *
 *     deno run -A bench/quality.ts [--store FOLDER] [--times 4] [--base '{"steps":20}'] \
 *         '{"precision":{"*":"int8"}}' '{"stepCache":0.1}'
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { FolderStore } from "../artifacts/store/folder_store.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { runGraph } from "../graph/run.ts";
import { textToImage } from "../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../hub/local_models.ts";
import { gmsd } from "../images/gradient_similarity.ts";
import { type Pixels, toPixels } from "../images/pixels.ts";
import { psnr, ssim } from "../images/similarity.ts";
import { localRun } from "../local.ts";
import { misnamed } from "../tests/models/pixstage-emoji/misnamed.ts";
import { median } from "./random_transformer.ts";

const { values: { store, times, base }, positionals } = parseArgs({
  options: {
    store: { type: "string" },
    times: { type: "string", default: "0" },
    base: { type: "string", default: "{}" },
  },
  allowPositionals: true,
});
const local = localRun({ store: store === undefined ? new MemoryStore() : new FolderStore(store) });
const list = await Deno.readTextFile(new URL("../models/pixstage-emoji/prompts.txt", import.meta.url));
const prompts = list.trim().split("\n");

/** Returns the pictures of all prompts with seed 0. */
async function make(way: object): Promise<Pixels[]> {
  const request = { model: DEFAULT_MODEL, ...JSON.parse(base), ...way, prompts, seeds: prompts.map(() => 0) };
  const made = await runGraph(textToImage(request), local);
  return toPixels(made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">);
}

/** Returns the processor seconds of denoising a prompt. */
async function processorTime(prompt: string, way: object): Promise<number> {
  const request = textToImage({
    model: DEFAULT_MODEL,
    ...JSON.parse(base),
    ...way,
    prompts: [prompt],
    seeds: [0],
  });
  const place = localRun({ store: new MemoryStore() });
  await runGraph(request, { ...place, outputs: ["prompt.embeddings", "negative.embeddings"] });
  const before = process.cpuUsage();
  await runGraph(request, { ...place, until: "denoise" });
  return process.cpuUsage(before).user / 1e6;
}

const shares = positionals.map((): number[] => []);
for (const prompt of prompts.slice(0, Number(times))) {
  const whole = await processorTime(prompt, {});
  for (const [index, text] of positionals.entries()) {
    shares[index]!.push(await processorTime(prompt, JSON.parse(text)) / whole);
  }
}
const exact = await make({});
for (const [index, text] of positionals.entries()) {
  const pictures = await make(JSON.parse(text));
  const told = (measure: (a: Pixels, b: Pixels) => number, digits: number): string => {
    const values = pictures.map((picture, index) => measure(exact[index]!, picture));
    return `median ${median(values).toFixed(digits)}, least ${Math.min(...values).toFixed(digits)}`;
  };
  const good = pictures.filter((picture, index) => psnr(exact[index]!, picture) >= 35).length;
  const wrong = await misnamed(pictures.map((picture, index) => ({ prompt: prompts[index]!, picture })));
  const parts = [
    `${text}: PSNR ${told(psnr, 1)} dB, ${good} at least 35 dB`,
    `SSIM ${told(ssim, 4)}`,
    `GMSD ${told(gmsd, 4)}`,
    `misnamed: ${wrong.join(", ") || "none"}`,
    ...(shares[index]!.length === 0 ? [] : [`time ${median(shares[index]!).toFixed(2)}`]),
  ];
  Deno.stdout.writeSync(new TextEncoder().encode(`${parts.join("; ")}\n`));
}
