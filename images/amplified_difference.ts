// This module is browser compatible.

/**
 * The difference of two pictures as a picture, amplified so that small differences are visible.
 *
 * @module
 */

import { checkSameSize, type Pixels } from "./pixels.ts";

/** A picture of a difference. */
export interface AmplifiedDifference {
  /** The absolute difference of each channel times the factor. Black where the pictures are equal. */
  readonly pixels: Pixels;
  /** The factor: the largest power of two that cuts nothing off, 64 at most. */
  readonly factor: number;
  /** The largest difference of a channel, 0 to 255. */
  readonly largest: number;
}

const LARGEST_FACTOR = 64;

/**
 * Returns the difference of two pictures.
 *
 * @param a A picture.
 * @param b Another picture of the same size.
 * @throws {InputError} if the sizes differ, or if data does not match its size.
 *
 * @example Usage
 * ```ts
 * import { amplifiedDifference } from "./amplified_difference.ts";
 * import assert from "node:assert/strict";
 *
 * const pixel = (...data: number[]) => ({ width: 1, height: 1, data: Uint8Array.from(data) });
 * const { pixels, factor } = amplifiedDifference(pixel(10, 20, 30), pixel(12, 20, 0));
 * assert.equal(factor, 8);
 * assert.deepEqual([...pixels.data], [16, 0, 240]);
 * ```
 */
export function amplifiedDifference(a: Pixels, b: Pixels): AmplifiedDifference {
  checkSameSize(a, b);
  const data = a.data.map((value, index) => Math.abs(value - b.data[index]!));
  const largest = data.reduce((most, value) => Math.max(most, value), 0);
  const factor = largest === 0 ? 1 : Math.min(LARGEST_FACTOR, 2 ** Math.floor(Math.log2(255 / largest)));
  return {
    pixels: { width: a.width, height: a.height, data: data.map((value) => value * factor) },
    factor,
    largest,
  };
}
