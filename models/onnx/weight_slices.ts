// This module is browser compatible.

/**
 * Splits large weights into slices of rows.
 *
 * @module
 */

import type { WeightLocation } from "../checkpoint/weights.ts";

/** Size of a cast slice. A slice of this size stays in the CPU's cache between the cast and the product. */
const SLICE_BYTES = 4 << 20;
/** Weights up to this float32 size are not split. */
const WHOLE_BYTES = 32 << 20;

/**
 * Splits a weight [rows, columns] that needs a cast into slices of rows, which are contiguous in its file.
 * Casting by slice is two to three times as fast for a short text and avoids a cast copy of the whole weight.
 *
 * @param location The weight.
 * @param dtype Target type of the cast.
 * @returns The slices in order, or the weight itself if it is small or already has the target type.
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
