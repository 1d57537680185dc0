// This module is browser compatible.

/**
 * How unlike two pictures are to the eye, by their edges.
 *
 * @module
 */

import { checkSameSize, type Pixels } from "./pixels.ts";

/** Keeps the quotient stable where there are no edges; 170 where pixels go to 255, as in the paper. */
const STABILIZER = 170;

/** A value for each place, row by row. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/**
 * Gradient magnitude similarity deviation of the luma (ITU-R BT.601): how unevenly edges are kept. At equal PSNR errors
 * that the eye sees, such as blurred or added edges, weigh more than noise spread over the whole picture.
 *
 * Source: Xue, Zhang, Mou and Bovik, "Gradient Magnitude Similarity Deviation: A Highly Efficient Perceptual Image Quality
 * Index", 2014 (https://arxiv.org/abs/1308.3052): means of 2 × 2 pixels, Prewitt's filter, standard deviation of the
 * similarity. Values outside the picture are 0; a side that is odd, with the other, is filled up with one more of them.
 *
 * @param a A picture.
 * @param b Another one of the same size.
 * @returns 0 for pictures of equal edges, more the less alike they are, 0.5 at most.
 * @throws {InputError} if sizes differ, or data does not fit its size.
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

/** The luma at half the size: means of 2 × 2 pixels. */
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

/** The magnitude of Prewitt's gradient at each place. */
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
