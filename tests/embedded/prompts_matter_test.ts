import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decodePicture } from "../../images/picture.ts";
import { type Pixels, toPixels } from "../../images/pixels.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../../hub/local_models.ts";
import { localRun } from "../../local.ts";
import { thumbnail, THUMBNAIL_SIDE } from "./thumbnail.ts";

/**
 * What the nearest training drawing of each prompt's picture must be a drawing of. These are the prompts whose pictures
 * 16 pixels told apart when the list was made: it guards what works, and is no measure of how much does.
 */
const DRAWINGS: Readonly<Record<string, RegExp>> = {
  "cute cat": /-cat(-|$)/,
  "a slice of pizza": /-pizza$/,
  "happy face": /-(slightly-)?(smiling|grinning)-/,
  "3d emoji of a cat with heart eyes": /-smiling-cat-with-heart-eyes$/,
  "flat emoji of a rocket": /-rocket$/,
  "a green apple": /-green-apple$/,
  "a cup of coffee": /-hot-beverage$/,
  "a sunflower": /-sunflower$/,
  "cute robot": /-robot$/,
  "a friendly ghost": /-ghost$/,
  "a castle": /-castle$/,
  "birthday cake with candles": /-birthday-cake$/,
  "a penguin": /-penguin$/,
  "a house with a tree": /-house-with-garden$/,
  "red heart": /-(red-heart|heart-suit)$/,
  "a guitar": /-guitar$/,
  "octopus, flat icon": /-octopus$/,
  "an avocado": /-avocado$/,
  "an astronaut": /-astronaut/,
  "a wizard": /-mage/,
};

const local = localRun();

/** The picture of each prompt, seed 0, as the model's own settings have it. */
async function picturesOf(prompts: readonly string[]): Promise<Pixels[]> {
  const request = { model: DEFAULT_MODEL, prompts: [...prompts], seeds: prompts.map(() => 0) };
  const made = await runGraph(textToImage(request, { guided: true }), local);
  return toPixels(made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">);
}

/** The thumbnails of the training drawings, with their names. */
async function trainingDrawings(): Promise<{ name: string; pixels: Uint8Array }[]> {
  const read = (file: string) => readFileSync(new URL(`./training_drawings/${file}`, import.meta.url));
  const { pixels } = await decodePicture(new Uint8Array(read("thumbnails.png")));
  const columns = pixels.width / THUMBNAIL_SIDE;
  return (JSON.parse(read("thumbnails.json").toString()) as string[]).map((name, index) => {
    const left = (index % columns) * THUMBNAIL_SIDE;
    const top = Math.floor(index / columns) * THUMBNAIL_SIDE;
    const rows = Array.from({ length: THUMBNAIL_SIDE }, (_, y) => {
      const start = ((top + y) * pixels.width + left) * 3;
      return [...pixels.data.subarray(start, start + THUMBNAIL_SIDE * 3)];
    });
    return { name, pixels: Uint8Array.from(rows.flat()) };
  });
}

/** The sum of squared differences. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum;
}

/** The mean of each channel. */
function meanColour({ data }: Pixels): [red: number, green: number, blue: number] {
  const sums: [number, number, number] = [0, 0, 0];
  data.forEach((value, i) => sums[i % 3]! += value);
  return [sums[0] / (data.length / 3), sums[1] / (data.length / 3), sums[2] / (data.length / 3)];
}

Deno.test("the embedded model draws what the prompt names: 20 prompts among 593 drawings", async () => {
  const drawings = await trainingDrawings();
  const prompts = Object.keys(DRAWINGS);
  const pictures = await picturesOf(prompts);
  const wrong: string[] = [];
  pictures.forEach((picture, index) => {
    const seen = thumbnail(picture);
    const nearest = drawings.reduce((best, drawing) =>
      distance(seen, drawing.pixels) < distance(seen, best.pixels) ? drawing : best
    );
    const prompt = prompts[index]!;
    if (!DRAWINGS[prompt]!.test(nearest.name)) wrong.push(`${prompt}: ${nearest.name}`);
  });
  assert.deepEqual(wrong, []);
});

Deno.test("the embedded model minds colours: a red car is redder than a blue one, and less blue", async () => {
  const [red, blue] = (await picturesOf(["a red car", "a blue car"])).map(meanColour);
  assert.ok(red![0] - red![2] > 10, `red car: ${red}`);
  assert.ok(blue![2] - blue![0] > 10, `blue car: ${blue}`);
});
