// This module is browser compatible.

import { checkPixels, type Pixels } from "./pixels.ts";

/** Weights of red, green and blue (ITU-R BT.601) in units of 2^-16, as in Pillow. */
const WEIGHTS = [19595, 38470, 7471] as const;

/**
 * Returns the grey value of each pixel, like Pillow's `convert("L")`.
 *
 * @param pixels The picture.
 * @returns `height × width` grey values, 0 to 255.
 * @throws {InputError} if the data does not match the picture's size.
 */
export function greysOf(pixels: Pixels): Uint8Array<ArrayBuffer> {
  checkPixels(pixels);
  const { width, height, data } = pixels;
  const [red, green, blue] = WEIGHTS;
  const greys = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < greys.length; i++, at += 3) {
    greys[i] = (data[at]! * red + data[at + 1]! * green + data[at + 2]! * blue + 2 ** 15) >>> 16;
  }
  return greys;
}
