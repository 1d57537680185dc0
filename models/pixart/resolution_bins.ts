// This module is browser compatible.

/**
 * Resolution binning: the sizes that PixArt was trained on, and the choice of the nearest one.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";

/** A size of a picture, in pixels. */
export interface Resolution {
  /** Number of rows. */
  readonly height: number;
  /** Number of columns. */
  readonly width: number;
}

/**
 * A published aspect ratio (height / width, rounded), with height and width in sixteenths of the base size.
 */
type Bin = readonly [ratio: number, height: number, width: number];

/** The bins of every base size, in sixteenths of the base size. */
const COMMON_BINS: readonly Bin[] = [
  [0.25, 8, 32],
  [0.28, 8, 29],
  [0.32, 9, 28],
  [0.33, 9, 27],
  [0.35, 9, 26],
  [0.4, 10, 25],
  [0.42, 10, 24],
  [0.48, 11, 23],
  [0.5, 11, 22],
  [0.52, 11, 21],
  [0.57, 12, 21],
  [0.6, 12, 20],
  [0.68, 13, 19],
  [0.72, 13, 18],
  [0.78, 14, 18],
  [0.82, 14, 17],
  [0.88, 15, 17],
  [0.94, 15, 16],
  [1, 16, 16],
  [1.07, 16, 15],
  [1.13, 17, 15],
  [1.21, 17, 14],
  [1.29, 18, 14],
  [1.38, 18, 13],
  [1.46, 19, 13],
  [1.67, 20, 12],
  [1.75, 21, 12],
  [2, 22, 11],
  [2.09, 23, 11],
  [2.4, 24, 10],
  [2.5, 25, 10],
  [3, 27, 9],
  [4, 32, 8],
];

/** Additional bins of the 2048 px table, in the same units. */
const BINS_OF_2048_ONLY: readonly Bin[] = [
  [0.26, 8, 31],
  [0.27, 8, 30],
  [2.89, 26, 9],
  [3.11, 28, 9],
  [3.62, 29, 8],
  [3.75, 30, 8],
  [3.88, 31, 8],
];

const BINS_OF_2048 = [...COMMON_BINS, ...BINS_OF_2048_ONLY].sort((a, b) => a[0] - b[0]);

/** The bins by the transformer's `sample_size`: the base size in latents, an eighth of the size in pixels. */
const BINS_BY_SAMPLE_SIZE: ReadonlyMap<number, readonly Bin[]> = new Map([
  [32, COMMON_BINS],
  [64, COMMON_BINS],
  [128, COMMON_BINS],
  [256, BINS_OF_2048],
]);

/**
 * Finds the size with the nearest aspect ratio among those that a PixArt transformer was trained on.
 *
 * Source: `ASPECT_RATIO_256_BIN`, `ASPECT_RATIO_512_BIN`, `ASPECT_RATIO_1024_BIN`, `ASPECT_RATIO_2048_BIN`
 * and `PixArtImageProcessor.classify_height_width_bin` of diffusers. In diffusers, the alpha pipeline
 * supports sample sizes 32, 64 and 128; the sigma pipeline also supports 256.
 *
 * @param height Requested height in pixels, above 0.
 * @param width Requested width in pixels, above 0.
 * @param sampleSize The transformer's `sample_size`: 32, 64, 128 or 256 latents.
 * @returns The size at which to render the picture.
 * @throws {InputError} if the sample size has no table, or if a side is not above 0.
 *
 * @example Usage
 * ```ts
 * import { classifyResolution } from "./resolution_bins.ts";
 *
 * const { height, width } = classifyResolution(720, 1280, 128);
 * // 768 × 1344
 * ```
 */
export function classifyResolution(height: number, width: number, sampleSize: number): Resolution {
  const bins = BINS_BY_SAMPLE_SIZE.get(sampleSize);
  if (bins === undefined) {
    throw new InputError(
      "out_of_range",
      `Resolution binning requires a sample_size of 32, 64, 128 or 256: current value is ${sampleSize}`,
    );
  }
  if (!(height > 0 && height < Infinity && width > 0 && width < Infinity)) {
    throw new InputError(
      "out_of_range",
      `Height and width must be above 0: current value is ${height} × ${width}`,
    );
  }
  const ratio = height / width;
  // Of two equally near bins the first one applies, as in Python's min().
  const [, rows, columns] = bins.reduce((nearest, bin) =>
    Math.abs(bin[0] - ratio) < Math.abs(nearest[0] - ratio) ? bin : nearest
  );
  const unit = sampleSize / 2;
  return { height: rows * unit, width: columns * unit };
}
