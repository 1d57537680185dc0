// This module is browser compatible.

/**
 * Two pictures in one, to compare them.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { checkPixels, type Pixels } from "./pixels.ts";

/** How two pictures are put side by side. */
export interface SideBySideOptions {
  /**
   * Columns between the pictures.
   *
   * @default {8}
   */
  readonly gap?: number;
  /**
   * What fills the gap, and the place below the lower of the two: red, green, blue.
   *
   * @default {[255, 255, 255]}
   */
  readonly background?: readonly [red: number, green: number, blue: number];
}

/**
 * Puts two pictures side by side, aligned at the top.
 *
 * @param left A picture.
 * @param right Another one, of any size.
 * @param options Gap and background.
 * @returns A picture as wide as both and the gap, as high as the higher one.
 * @throws {InputError} if data does not fit its size.
 * @throws {InputError} if the gap is not a whole number, or negative.
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
      `Cannot put pictures side by side as the gap must be whole and >= 0: current value is ${gap}`,
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
