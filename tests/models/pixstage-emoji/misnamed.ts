/**
 * Finds pictures that are nearer to a training drawing of another subject than to one that their prompt
 * names.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { decodePicture } from "../../../images/picture.ts";
import type { Pixels } from "../../../images/pixels.ts";
import { distance, type Features, features, thumbnail, THUMBNAIL_SIDE } from "./likeness.ts";
import { NAMED_DRAWINGS } from "./named_drawings.ts";

/**
 * Finds the pictures whose nearest training drawing shows something other than the prompt names.
 *
 * @param pictures Pictures and their prompts. Prompts without an entry in `NAMED_DRAWINGS` are skipped.
 * @returns The prompt and the name of the nearest drawing for each of these pictures.
 */
export async function misnamed(
  pictures: readonly { readonly prompt: string; readonly picture: Pixels }[],
): Promise<string[]> {
  const drawings = await trainingDrawings();
  return pictures.flatMap(({ prompt, picture }) => {
    const named = NAMED_DRAWINGS[prompt];
    if (!named) return [];
    const seen = features(thumbnail(picture));
    const distances = drawings.map(({ drawn }) => distance(seen, drawn, !named.recoloured));
    const nearest = drawings[distances.indexOf(Math.min(...distances))]!;
    return named.name.test(nearest.name) ? [] : [`${prompt}: ${nearest.name}`];
  });
}

/** Reads the names of the training drawings and the features of their thumbnails. */
async function trainingDrawings(): Promise<{ name: string; drawn: Features }[]> {
  const read = (file: string) => readFileSync(new URL(`./training_drawings/${file}`, import.meta.url));
  const { pixels } = await decodePicture(new Uint8Array(read("thumbnails.webp")));
  const columns = pixels.width / THUMBNAIL_SIDE;
  return (JSON.parse(read("thumbnails.json").toString()) as string[]).map((name, index) => {
    const left = (index % columns) * THUMBNAIL_SIDE;
    const top = Math.floor(index / columns) * THUMBNAIL_SIDE;
    const rows = Array.from({ length: THUMBNAIL_SIDE }, (_, y) => {
      const start = ((top + y) * pixels.width + left) * 3;
      return [...pixels.data.subarray(start, start + THUMBNAIL_SIDE * 3)];
    });
    return { name, drawn: features(rows.flat()) };
  });
}
