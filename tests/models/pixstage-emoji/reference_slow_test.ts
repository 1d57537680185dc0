import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../../../hub/local_models.ts";
import { decodePicture } from "../../../images/picture.ts";
import { toPixels } from "../../../images/pixels.ts";
import { psnr } from "../../../images/similarity.ts";
import { localRun } from "../../../local.ts";

/** A picture that diffusers generated with the embedded model. */
interface ReferenceCase {
  readonly key: string;
  readonly prompt: string;
  readonly seed: number;
  readonly variant: string | null;
  readonly steps: number;
  readonly guidanceScale: number;
}

const folder = new URL("./reference/", import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL("manifest.json", folder), "utf8")) as {
  cases: ReferenceCase[];
};
const local = localRun();

for (const { key, prompt, seed, variant, steps, guidanceScale } of cases) {
  Deno.test(`the embedded model with its own settings draws what diffusers draws: ${key}, ${prompt}`, async () => {
    const reference = { model: DEFAULT_MODEL, ...(variant === null ? {} : { variant }) };
    const { defaults } = await local.models.open(reference);
    assert.deepEqual([defaults.steps, defaults.guidanceScale], [steps, guidanceScale]);
    const request = { ...reference, prompts: [prompt], seeds: [seed] };
    const made = await runGraph(textToImage(request), local);
    const [ours] = toPixels(made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">);
    const theirs = await decodePicture(new Uint8Array(readFileSync(new URL(`${key}.png`, folder))));
    const likeness = psnr(ours!, theirs.pixels);
    assert.ok(likeness >= 50, `${likeness.toFixed(1)} dB`);
  });
}
