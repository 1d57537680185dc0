// This module is browser compatible.

/**
 * The filters that make the rows of a PNG picture easier to compress.
 *
 * @module
 */

import type { Pixels } from "./pixels.ts";

const FILTERS = 5;

/**
 * Filters 8-bit RGB rows. Each row gets the one of the five filters with the smallest sum of absolute
 * differences.
 *
 * Source: PNG specification, third edition, 9 (filters) and 12.7 (the choice).
 *
 * @param pixels The picture.
 * @returns For each row the filter's number and the filtered bytes: `height × (1 + width × 3)`.
 */
export function filterRows({ width, height, data }: Pixels): Uint8Array {
  const stride = width * 3;
  const filtered = new Uint8Array(height * (stride + 1));
  const candidates = Array.from({ length: FILTERS }, () => new Int8Array(stride));
  const [none, sub, up, average, paeth] = candidates as [
    Int8Array,
    Int8Array,
    Int8Array,
    Int8Array,
    Int8Array,
  ];
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * stride, (y + 1) * stride);
    for (let i = 0; i < stride; i++) {
      const value = row[i]!;
      const left = i < 3 ? 0 : row[i - 3]!;
      const upper = above[i]!;
      none[i] = value;
      sub[i] = value - left;
      up[i] = value - upper;
      average[i] = value - ((left + upper) >> 1);
      paeth[i] = value - predictPaeth(left, upper, i < 3 ? 0 : above[i - 3]!);
    }
    const sums = candidates.map((candidate) => {
      let sum = 0;
      for (let i = 0; i < stride; i++) sum += Math.abs(candidate[i]!);
      return sum;
    });
    const best = sums.indexOf(Math.min(...sums));
    const start = y * (stride + 1);
    filtered[start] = best;
    filtered.set(candidates[best]!, start + 1);
    above = row;
  }
  return filtered;
}

/** Returns the value among left, upper and upper left that is nearest to left + upper - upper left. */
function predictPaeth(left: number, upper: number, upperLeft: number): number {
  const toLeft = Math.abs(upper - upperLeft);
  const toUpper = Math.abs(left - upperLeft);
  const toUpperLeft = Math.abs(left + upper - 2 * upperLeft);
  if (toLeft <= toUpper && toLeft <= toUpperLeft) return left;
  return toUpper <= toUpperLeft ? upper : upperLeft;
}
