// This module is browser compatible.

/**
 * Two pictures next to each other, for comparison.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { checkPixels, type Pixels } from "./pixels.ts";

/** Options for the arrangement of two pictures. */
export interface SideBySideOptions {
  /**
   * Columns between the pictures.
   *
   * @default {8}
   */
  readonly gap?: number;
  /**
   * The colour of the gap and of the area below the shorter picture: red, green, blue.
   *
   * @default {[255, 255, 255]}
   */
  readonly background?: readonly [red: number, green: number, blue: number];
}

/**
 * Places two pictures next to each other, aligned at the top.
 *
 * @param left A picture.
 * @param right Another picture of any size.
 * @param options Gap and background.
 * @returns A picture as wide as both pictures and the gap, and as high as the taller one.
 * @throws {InputError} if data does not match its size.
 * @throws {InputError} if the gap is not an integer of at least 0.
 *
 * @example Usage
 * ```ts
 * import { sideBySide } from "./side_by_side.ts";
 *
 * const black = { width: 1, height: 1, data: new Uint8Array(3) };
 * const both = sideBySide(black, black, { gap: 1 }); // black, white, black
 * ```
 */
export function sideBySide(left: Pixels, right: Pixels, options: SideBySideOptions = {}): Pixels {
  const { gap = 8, background = [255, 255, 255] } = options;
  checkPixels(left);
  checkPixels(right);
  if (!Number.isSafeInteger(gap) || gap < 0) {
    throw new InputError(
      "out_of_range",
      `Cannot put pictures side by side because the gap must be an integer of at least 0: current value is ${gap}`,
    );
  }
  const width = left.width + gap + right.width;
  const height = Math.max(left.height, right.height);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i += 3) data.set(background, i);
  paste(left, 0);
  paste(right, left.width + gap);
  return { width, height, data };

  function paste(picture: Pixels, column: number): void {
    const stride = picture.width * 3;
    for (let y = 0; y < picture.height; y++) {
      data.set(picture.data.subarray(y * stride, (y + 1) * stride), (y * width + column) * 3);
    }
  }
}
