// This module is browser compatible.

import type { BlockRecipe } from "./recipe.ts";

/** Rows quantized in blocks. */
export interface QuantizedRows {
  /**
   * Quantized values. With 4 bits, two values share a byte, the first in the low half. The middle of the
   * range represents 0.
   */
  readonly packed: Uint8Array<ArrayBuffer>;
  /** Scale of each block. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/**
 * Quantizes rows in blocks. The largest magnitude of each block maps to the largest value, and each weight is
 * rounded to the nearest value. The layout is that of ONNX Runtime's `MatMulNBits`.
 *
 * @param values The rows, concatenated.
 * @param columns Length of a row.
 * @param recipe Bits per weight, and block size.
 */
export function quantizeRows(
  values: Float32Array,
  columns: number,
  recipe: BlockRecipe,
): QuantizedRows {
  const { bits, block } = recipe;
  const rows = values.length / columns;
  const blocks = Math.ceil(columns / block);
  const middle = 2 ** (bits - 1);
  const largest = middle - 1;
  const packed = new Uint8Array(rows * blocks * block * bits / 8).fill(bits === 8 ? middle : middle * 0x11);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let index = 0; index < blocks; index++) {
      const first = row * columns + index * block;
      const end = Math.min(first + block, (row + 1) * columns);
      let magnitude = 0;
      for (let at = first; at < end; at++) magnitude = Math.max(magnitude, Math.abs(values[at]!));
      const place = row * blocks + index;
      const scale = Math.fround(magnitude / largest);
      scales[place] = scale;
      if (!(scale > 0)) continue;
      const into = place * block;
      for (let at = first; at < end; at++) {
        const value = Math.max(-largest, Math.min(largest, Math.round(values[at]! / scale))) + middle;
        const target = into + at - first;
        if (bits === 8) packed[target] = value;
        else {
          const half = 4 * (target & 1);
          packed[target >> 1] = (packed[target >> 1]! & (0xf0 >> half)) | (value << half);
        }
      }
    }
  }
  return { packed, scales };
}
