import assert from "node:assert/strict";
import { type Pixels, toPixels } from "../../../images/pixels.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { runGraph } from "../../../graph/run.ts";
import { textToImage } from "../../../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../../../hub/local_models.ts";
import { localRun } from "../../../local.ts";
import { isBackground } from "./likeness.ts";
import { misnamed } from "./misnamed.ts";
import { NAMED_DRAWINGS } from "./named_drawings.ts";

/**
 * For how many of the 30 prompts that name one emoji the nearest drawing was one of that emoji, when the
 * weights were trained.
 */
const NEAREST_RIGHT = 30;

const local = localRun();

/** Generates the picture of each prompt with seed 0 and the model's own settings. */
async function picturesOf(prompts: readonly string[]): Promise<Pixels[]> {
  const request = { model: DEFAULT_MODEL, prompts: [...prompts], seeds: prompts.map(() => 0) };
  const made = await runGraph(textToImage(request), local);
  return toPixels(made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">);
}

/** Returns the mean of each channel over the drawing. */
function meanColour(picture: Pixels): [red: number, green: number, blue: number] {
  const sums: [number, number, number] = [0, 0, 0];
  let drawn = 0;
  for (let i = 0; i < picture.width * picture.height; i++) {
    if (isBackground(picture, i % picture.width, Math.floor(i / picture.width))) continue;
    drawn++;
    for (const channel of [0, 1, 2] as const) sums[channel] += picture.data[i * 3 + channel]!;
  }
  return [sums[0] / drawn, sums[1] / drawn, sums[2] / drawn];
}

Deno.test("the embedded model draws what the prompt names: 30 prompts among 728 drawings", async () => {
  const prompts = Object.keys(NAMED_DRAWINGS);
  const pictures = await picturesOf(prompts);
  const wrong = await misnamed(prompts.map((prompt, index) => ({ prompt, picture: pictures[index]! })));
  const right = prompts.length - wrong.length;
  assert.ok(right >= NEAREST_RIGHT, `${right} of ${prompts.length}; not: ${wrong.join(", ")}`);
});

Deno.test("the embedded model respects colours: a red car is redder than a blue one, and less blue", async () => {
  const [red, blue] = (await picturesOf(["a red car", "a blue car"])).map(meanColour);
  assert.ok(red![0] - blue![0] > 30 && blue![2] - red![2] > 30, `red car: ${red}; blue car: ${blue}`);
});
