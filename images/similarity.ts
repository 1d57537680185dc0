// This module is browser compatible.

/**
 * Similarity of two pictures.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { checkSameSize, type Pixels } from "./pixels.ts";

const PEAK = 255;
const WINDOW = 11;
const SIGMA = 1.5;
/** The constants that keep SSIM's quotients stable, K1 = 0.01 and K2 = 0.03. */
const C1 = (0.01 * PEAK) ** 2;
const C2 = (0.03 * PEAK) ** 2;

const GAUSSIAN = gaussianWindow();

/** Values with a size, row by row. */
interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: Float64Array;
}

/**
 * Returns the peak signal-to-noise ratio over all channels.
 *
 * @param a A picture.
 * @param b Another picture of the same size.
 * @returns Decibels; larger is more similar. Above 40 a difference is hardly visible; `Infinity` for equal
 * pictures.
 * @throws {InputError} if the sizes differ, or if data does not match its size.
 *
 * @example Usage
 * ```ts
 * import { psnr } from "./similarity.ts";
 *
 * const grey = { width: 1, height: 1, data: Uint8Array.of(128, 128, 128) };
 * psnr(grey, grey); // Infinity
 * ```
 */
export function psnr(a: Pixels, b: Pixels): number {
  checkSameSize(a, b);
  let squares = 0;
  for (let i = 0; i < a.data.length; i++) squares += (a.data[i]! - b.data[i]!) ** 2;
  return 10 * Math.log10(PEAK ** 2 / (squares / a.data.length));
}

/**
 * Returns the structural similarity of the luma (ITU-R BT.601), averaged over all windows that lie within the
 * picture.
 *
 * Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
 * similarity", 2004: Gaussian window of 11 × 11, sigma 1.5, K1 = 0.01, K2 = 0.03.
 *
 * @param a A picture, at least 11 pixels per side.
 * @param b Another picture of the same size.
 * @returns 1 for pictures of equal luma; smaller for less similar pictures.
 * @throws {InputError} if the sizes differ, or if data does not match its size.
 * @throws {InputError} if a side is shorter than the window.
 */
export function ssim(a: Pixels, b: Pixels): number {
  checkSameSize(a, b);
  if (Math.min(a.width, a.height) < WINDOW) {
    throw new InputError(
      "out_of_range",
      `Cannot compute SSIM because a side must have at least ${WINDOW} pixels: current value is ${a.width} × ${a.height}`,
    );
  }
  const [x, y] = [luma(a), luma(b)];
  const meanX = blur(x).data;
  const meanY = blur(y).data;
  const meanXX = blur(product(x, x)).data;
  const meanYY = blur(product(y, y)).data;
  const meanXY = blur(product(x, y)).data;
  let sum = 0;
  for (let i = 0; i < meanX.length; i++) {
    const [mx, my] = [meanX[i]!, meanY[i]!];
    const variances = meanXX[i]! - mx * mx + meanYY[i]! - my * my;
    const covariance = meanXY[i]! - mx * my;
    sum += (2 * mx * my + C1) * (2 * covariance + C2) / ((mx * mx + my * my + C1) * (variances + C2));
  }
  return sum / meanX.length;
}

function luma({ width, height, data }: Pixels): Plane {
  const values = new Float64Array(width * height);
  for (let i = 0; i < values.length; i++) {
    values[i] = 0.299 * data[i * 3]! + 0.587 * data[i * 3 + 1]! + 0.114 * data[i * 3 + 2]!;
  }
  return { width, height, data: values };
}

function product(a: Plane, b: Plane): Plane {
  return { ...a, data: a.data.map((value, i) => value * b.data[i]!) };
}

/** Returns weighted means under the window, which is separable: along rows first, then along columns. */
function blur(plane: Plane): Plane {
  return transposedBlur(transposedBlur(plane));
}

function transposedBlur({ width, height, data }: Plane): Plane {
  const columns = width - WINDOW + 1;
  const means = new Float64Array(columns * height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < columns; column++) {
      let mean = 0;
      for (let i = 0; i < WINDOW; i++) mean += GAUSSIAN[i]! * data[row * width + column + i]!;
      means[column * height + row] = mean;
    }
  }
  return { width: height, height: columns, data: means };
}

function gaussianWindow(): Float64Array {
  const weights = Float64Array.from(
    { length: WINDOW },
    (_, i) => Math.exp(-((i - (WINDOW - 1) / 2) ** 2) / (2 * SIGMA ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
