// This module is browser compatible.

/**
 * Where a patch is in the picture, as sinusoids of its column and its row. Reference: `get_2d_sincos_pos_embed` in
 * diffusers/models/embeddings.py.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";

const LARGEST_PERIOD = 10_000;

/** What the positions are measured by. */
export interface PositionEmbeddingOptions {
  /** Values per patch, a multiple of 4. */
  readonly width: number;
  /** Patches along a side of the picture that the model was made for; others are scaled to it. */
  readonly baseSize: number;
  /** Further divisor of the positions. */
  readonly interpolationScale: number;
}

/**
 * Embeds the patches of a grid, row after row: the first half of the values tells the column, the second the row.
 *
 * @param rows Rows of the grid.
 * @param columns Columns of the grid.
 * @param options What the positions are measured by.
 * @returns [rows · columns, width].
 * @throws {InputError} if `width` is no multiple of 4.
 */
export function positionEmbedding(
  rows: number,
  columns: number,
  options: PositionEmbeddingOptions,
): Tensor<"float32"> {
  const { width, baseSize, interpolationScale } = options;
  if (width % 4 !== 0) {
    throw new InputError(
      "out_of_range",
      `Cannot embed positions as width must be a multiple of 4: current value is ${width}`,
    );
  }
  const half = width / 2;
  const ofColumns = axisEmbedding(columns, half, baseSize, interpolationScale);
  const ofRows = axisEmbedding(rows, half, baseSize, interpolationScale);
  const data = new Float32Array(rows * columns * width);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const start = (row * columns + column) * width;
      data.set(ofColumns.subarray(column * half, (column + 1) * half), start);
      data.set(ofRows.subarray(row * half, (row + 1) * half), start + half);
    }
  }
  return tensor("float32", [rows * columns, width], data);
}

/** Sines, then cosines, of each position along one axis; positions in float32, angles in float64. */
function axisEmbedding(
  count: number,
  width: number,
  baseSize: number,
  interpolationScale: number,
): Float32Array {
  const half = width / 2;
  const data = new Float32Array(count * width);
  for (let index = 0; index < count; index++) {
    const scaled = Math.fround(index / Math.fround(count / baseSize));
    const position = Math.fround(scaled / Math.fround(interpolationScale));
    for (let i = 0; i < half; i++) {
      const angle = position / LARGEST_PERIOD ** (i / half);
      data[index * width + i] = Math.sin(angle);
      data[index * width + half + i] = Math.cos(angle);
    }
  }
  return data;
}
