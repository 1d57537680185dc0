/**
 * Which pictures are nearer to a training drawing of something else than to one of what their prompts name.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { decodePicture } from "../../../images/picture.ts";
import type { Pixels } from "../../../images/pixels.ts";
import { distance, type Features, features, thumbnail, THUMBNAIL_SIDE } from "./likeness.ts";
import { NAMED_DRAWINGS } from "./named_drawings.ts";

/**
 * Finds the pictures whose nearest training drawing is none of what the prompt names.
 *
 * @param pictures Pictures and their prompts; those of prompts that name no one drawing are left out.
 * @returns For each of them the prompt and the name of the nearest drawing.
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

/** The training drawings: their names, and their thumbnails' features. */
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
