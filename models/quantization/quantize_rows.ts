// This module is browser compatible.

import type { BlockRecipe } from "./recipe.ts";

/** Rows quantized in blocks. */
export interface QuantizedRows {
  /**
   * Quantized values. With 4 bits, two values share a byte, the first in the low half. The middle of the
   * range represents 0.
   */
  readonly packed: Uint8Array<ArrayBuffer>;
  /** Scale of each block. With 4 bits, it may be negative. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/** Fractions of a block's range that are tried with 4 bits. Values beyond the range are clipped. */
const RANGES = [1.05, 1, 0.95, 0.9, 0.85, 0.8, 0.75];

/**
 * Quantizes rows in blocks. The layout is that of ONNX Runtime's `MatMulNBits`.
 *
 * With 8 bits, the largest magnitude of each block maps to the largest value, and each weight is rounded to
 * the nearest value. With 4 bits, the scale that minimizes the squared error is searched for: the weight with
 * the largest magnitude maps to the lowest value, -8, or is clipped to it. This uses all 16 values without
 * zero points, as ggml's `Q4_0` does (https://github.com/ggml-org/ggml, `quantize_row_q4_0_ref`).
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
  const packed = new Uint8Array(rows * blocks * block * bits / 8).fill(bits === 8 ? middle : middle * 0x11);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let index = 0; index < blocks; index++) {
      const first = row * columns + index * block;
      const end = Math.min(first + block, (row + 1) * columns);
      const place = row * blocks + index;
      const into = place * block;
      scales[place] = bits === 8
        ? quantizeBytes(values, first, end, packed, into)
        : quantizeNibbles(values, first, end, packed, into);
    }
  }
  return { packed, scales };
}

/** Quantizes a block to 8 bits, and returns its scale. */
function quantizeBytes(
  values: Float32Array,
  first: number,
  end: number,
  packed: Uint8Array,
  into: number,
): number {
  const scale = Math.fround(Math.abs(largest(values, first, end)) / 127);
  if (!(scale > 0)) return scale;
  for (let at = first; at < end; at++) {
    packed[into + at - first] = Math.max(-127, Math.min(127, Math.round(values[at]! / scale))) + 128;
  }
  return scale;
}

/** Quantizes a block to 4 bits, and returns its scale. */
function quantizeNibbles(
  values: Float32Array,
  first: number,
  end: number,
  packed: Uint8Array,
  into: number,
): number {
  const extreme = largest(values, first, end);
  if (extreme === 0 || !Number.isFinite(extreme)) return extreme;
  let best = 0;
  let scale = 0;
  let inverse = 0;
  for (const range of RANGES) {
    const candidate = -8 / (range * extreme);
    let product = 0;
    let square = 0;
    for (let at = first; at < end; at++) {
      const value = nibble(values[at]! * candidate);
      product += value * values[at]!;
      square += value * value;
    }
    // With the best scale for these integers, this much of the block's sum of squares is represented.
    const represented = product * product / square;
    if (!(represented > best)) continue;
    best = represented;
    scale = product / square;
    inverse = candidate;
  }
  for (let at = first; at < end; at++) {
    const target = into + at - first;
    const half = 4 * (target & 1);
    const value = nibble(values[at]! * inverse) + 8;
    packed[target >> 1] = (packed[target >> 1]! & (0xf0 >> half)) | (value << half);
  }
  return scale;
}

/**
 * Subtracts rows that are rounded to 4 bits from other rows. The scales are not searched for, which takes a
 * fraction of the time.
 *
 * @param values The rows from which is subtracted, concatenated.
 * @param rounded The rows that are rounded, concatenated; not more than the others.
 * @param columns Length of a row.
 * @param block Number of consecutive weights of a row that share a scale.
 */
export function subtractRounded(
  values: Float32Array,
  rounded: Float32Array,
  columns: number,
  block: number,
): void {
  for (let row = 0; row < rounded.length; row += columns) {
    for (let first = row; first < row + columns; first += block) {
      const end = Math.min(first + block, row + columns);
      const scale = largest(rounded, first, end) / -8;
      if (scale === 0) continue;
      const inverse = 1 / scale;
      for (let at = first; at < end; at++) values[at]! -= scale * nibble(rounded[at]! * inverse);
    }
  }
}

/** Returns the value of the largest magnitude, with its sign. */
function largest(values: Float32Array, first: number, end: number): number {
  let low = 0;
  let high = 0;
  for (let at = first; at < end; at++) {
    low = Math.min(low, values[at]!);
    high = Math.max(high, values[at]!);
  }
  return -low > high ? low : high;
}

function nibble(value: number): number {
  return Math.max(-8, Math.min(7, Math.floor(value + 0.5)));
}
