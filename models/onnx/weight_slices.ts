// This module is browser compatible.

/**
 * Large weights, cut into slices of rows.
 *
 * @module
 */

import type { WeightLocation } from "../checkpoint/weights.ts";

/** A slice, cast, stays in a processor's cache between the cast and the product. */
const SLICE_BYTES = 4 << 20;
/** Weights up to this size as float32 are taken in one piece. */
const WHOLE_BYTES = 32 << 20;

/**
 * Cuts a weight [rows, columns] that has to be cast into slices of rows, which lie one after the other in its file.
 * Casting slice by slice is two to three times as fast for a short text, and no cast copy of the whole is held.
 *
 * @param location The weight.
 * @param dtype The type that it is cast to.
 * @returns The slices in order; the weight itself where it is small, or of that type.
 */
export function weightSlices(
  location: WeightLocation,
  dtype: "float32" | "float16" = "float32",
): WeightLocation[] {
  const [rows = 0, columns = 0] = location.shape;
  const rowBytes = 4 * columns;
  if (location.dtype === dtype || rows * rowBytes <= WHOLE_BYTES) return [location];
  const most = Math.max(Math.floor(SLICE_BYTES / rowBytes), 1);
  const storedRow = location.length / rows;
  return Array.from({ length: Math.ceil(rows / most) }, (_, index) => {
    const first = index * most;
    const count = Math.min(most, rows - first);
    return {
      ...location,
      name: `${location.name}[${first}:${first + count}]`,
      shape: [count, columns],
      offset: location.offset + first * storedRow,
      length: count * storedRow,
    };
  });
}
