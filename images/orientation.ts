// This module is browser compatible.

/**
 * Rotates and mirrors pictures to their Exif orientation, as diffusers' `load_image` does with
 * `ImageOps.exif_transpose`.
 *
 * Source: Exif 2.32, tag 0x0112.
 *
 * @module
 */

import { readOrientation } from "./exif.ts";
import { EXIF_LETTERS, findJpegExif } from "./jpeg.ts";
import type { PictureFormat } from "./picture_header.ts";
import type { Pixels } from "./pixels.ts";
import { readPngChunks } from "./png_chunks.ts";
import { readWebpChunks } from "./webp_chunks.ts";

/** The column and row in the stored picture of a pixel of the upright picture, by orientation. */
const TURNS: Readonly<
  Record<number, (x: number, y: number, right: number, bottom: number) => [number, number]>
> = {
  2: (x, y, right) => [right - x, y],
  3: (x, y, right, bottom) => [right - x, bottom - y],
  4: (x, y, _right, bottom) => [x, bottom - y],
  5: (x, y) => [y, x],
  6: (x, y, _right, bottom) => [y, bottom - x],
  7: (x, y, right, bottom) => [right - y, bottom - x],
  8: (x, y, right) => [right - y, x],
};
/** The first orientation that swaps rows and columns. */
const FIRST_ON_ITS_SIDE = 5;

/**
 * Reads the orientation of a picture file.
 *
 * @param bytes A PNG, JPEG or WebP file.
 * @param format The file's format.
 * @returns 1 to 8; 1 (upright) if the file has none.
 */
export function orientationOf(bytes: Uint8Array, format: PictureFormat): number {
  const exif = {
    png: () => readPngChunks(bytes).find(({ type }) => type === "eXIf")?.data,
    jpeg: () => findJpegExif(bytes),
    webp: () => readWebpChunks(bytes).find(({ type }) => type === "EXIF")?.data,
  }[format]();
  if (exif === undefined) return 1;
  // Some writers put the letters of JPEG's segment before the block in WebP files too.
  const hasLetters = EXIF_LETTERS.every((letter, i) => exif[i] === letter);
  return readOrientation(hasLetters ? exif.subarray(EXIF_LETTERS.length) : exif);
}

/**
 * Turns a picture upright.
 *
 * @param pixels The picture as it is stored.
 * @param orientation The Exif orientation, 1 to 8.
 * @returns The upright picture; `pixels` itself if it is already upright.
 */
export function turnUpright(pixels: Pixels, orientation: number): Pixels {
  const turn = TURNS[orientation];
  if (turn === undefined) return pixels;
  const { width: columns, height: rows, data, alpha } = pixels;
  const isOnItsSide = orientation >= FIRST_ON_ITS_SIDE;
  const [width, height] = isOnItsSide ? [rows, columns] : [columns, rows];
  const turned = new Uint8Array(data.length);
  const turnedAlpha = alpha && new Uint8Array(alpha.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const [column, row] = turn(x, y, columns - 1, rows - 1);
      const from = (row * columns + column) * 3;
      turned[to] = data[from]!;
      turned[to + 1] = data[from + 1]!;
      turned[to + 2] = data[from + 2]!;
      if (turnedAlpha) turnedAlpha[to / 3] = alpha![from / 3]!;
    }
  }
  return { width, height, data: turned, ...(turnedAlpha ? { alpha: turnedAlpha } : {}) };
}
