// This module is browser compatible.

import type { Pixels } from "../../images/pixels.ts";

/**
 * Shrinks a picture by a whole factor. Each pixel is the mean of a square. Pixels left over at the right and
 * bottom edges are cropped.
 *
 * @param pixels The picture.
 * @param atLeast Minimum length of the longer side, in pixels.
 * @returns The shrunk picture, or the picture itself if it is small enough.
 */
export function shrink(pixels: Pixels, atLeast: number): Pixels {
  const factor = Math.floor(Math.max(pixels.width, pixels.height) / atLeast);
  const width = Math.floor(pixels.width / factor);
  const height = Math.floor(pixels.height / factor);
  if (factor < 2 || width === 0 || height === 0) return pixels;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let row = 0; row < factor; row++) {
          const start = ((y * factor + row) * pixels.width + x * factor) * 3 + channel;
          for (let column = 0; column < factor; column++) sum += pixels.data[start + column * 3]!;
        }
        data[(y * width + x) * 3 + channel] = Math.round(sum / factor ** 2);
      }
    }
  }
  return { width, height, data };
}
