// This module is browser compatible.

/**
 * Perceptual difference of two pictures, measured by their edges.
 *
 * @module
 */

import { checkSameSize, type Pixels } from "./pixels.ts";

/** Keeps the quotient stable where there are no edges; the paper's value of 170 for pixels from 0 to 255. */
const STABILIZER = 170;

/** One value per position, row by row. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/**
 * Returns the gradient magnitude similarity deviation of the luma (ITU-R BT.601): how unevenly edges are
 * preserved. At equal PSNR, visible errors such as blurred or added edges weigh more than noise spread over
 * the whole picture.
 *
 * Source: Xue, Zhang, Mou and Bovik, "Gradient Magnitude Similarity Deviation: A Highly Efficient Perceptual
 * Image Quality Index", 2014 (https://arxiv.org/abs/1308.3052): means of 2 × 2 pixels, Prewitt's filter,
 * standard deviation of the similarity. Values outside the picture are 0; sides of odd length are padded with
 * one more of them.
 *
 * @param a A picture.
 * @param b Another picture of the same size.
 * @returns 0 for pictures with equal edges; larger for less similar pictures, at most 0.5.
 * @throws {InputError} if the sizes differ, or if data does not match its size.
 */
export function gmsd(a: Pixels, b: Pixels): number {
  checkSameSize(a, b);
  const [x, y] = [a, b].map((picture) => gradients(halfLuma(picture))) as [Float64Array, Float64Array];
  const similar = x.map((value, i) =>
    (2 * value * y[i]! + STABILIZER) / (value ** 2 + y[i]! ** 2 + STABILIZER)
  );
  const mean = similar.reduce((sum, value) => sum + value, 0) / similar.length;
  return Math.sqrt(similar.reduce((sum, value) => sum + (value - mean) ** 2, 0) / similar.length);
}

/** Returns the luma at half the size: means of 2 × 2 pixels. */
function halfLuma({ width, height, data }: Pixels): Plane {
  const filled = Math.max(width % 2, height % 2);
  const [columns, rows] = [width, height].map((side) => Math.floor((side + filled) / 2)) as [number, number];
  const means = new Float64Array(columns * rows);
  for (let row = 0; row < Math.min(height, 2 * rows); row++) {
    for (let column = 0; column < Math.min(width, 2 * columns); column++) {
      const at = (row * width + column) * 3;
      const luma = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
      means[(row >> 1) * columns + (column >> 1)]! += luma / 4;
    }
  }
  return { width: columns, height: rows, data: means };
}

/** Returns the magnitude of Prewitt's gradient at each position. */
function gradients({ width, height, data }: Plane): Float64Array {
  const at = (x: number, y: number): number =>
    x < 0 || y < 0 || x >= width || y >= height ? 0 : data[y * width + x]!;
  return data.map((_, index) => {
    const [x, y] = [index % width, Math.floor(index / width)];
    let [across, down] = [0, 0];
    for (const step of [-1, 0, 1]) {
      across += at(x + 1, y + step) - at(x - 1, y + step);
      down += at(x + step, y + 1) - at(x + step, y - 1);
    }
    return Math.hypot(across, down) / 3;
  });
}
