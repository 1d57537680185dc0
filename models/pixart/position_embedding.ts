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

/** Where patches are, along each side of the picture. */
export interface PositionEmbedding {
  /** [columns, width / 2]: the first half of a patch's values. */
  readonly columns: Tensor<"float32">;
  /** [rows, width / 2]: the second half. */
  readonly rows: Tensor<"float32">;
}

/**
 * Embeds the patches of a grid.
 *
 * @param rows Rows of the grid.
 * @param columns Columns of the grid.
 * @param options What the positions are measured by.
 * @returns The values of each column and of each row.
 * @throws {InputError} if `width` is no multiple of 4.
 */
export function positionEmbedding(
  rows: number,
  columns: number,
  options: PositionEmbeddingOptions,
): PositionEmbedding {
  const { width, baseSize, interpolationScale } = options;
  if (width % 4 !== 0) {
    throw new InputError(
      "out_of_range",
      `Cannot embed positions as width must be a multiple of 4: current value is ${width}`,
    );
  }
  const along = (count: number): Tensor<"float32"> =>
    tensor("float32", [count, width / 2], axisEmbedding(count, width / 2, baseSize, interpolationScale));
  return { columns: along(columns), rows: along(rows) };
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
