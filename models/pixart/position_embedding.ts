// This module is browser compatible.

/**
 * Position embeddings of patches: sinusoids of the column and the row. Reference: `get_2d_sincos_pos_embed`
 * in diffusers/models/embeddings.py.
 *
 * @module
 */

import { InputError } from "../../errors/pixstage_error.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";

const LARGEST_PERIOD = 10_000;

/** Options for computing position embeddings. */
export interface PositionEmbeddingOptions {
  /** Number of values per patch, a multiple of 4. */
  readonly width: number;
  /** Number of patches along a side of the model's native size. Positions of other sizes are scaled to it. */
  readonly baseSize: number;
  /** Additional divisor of the positions. */
  readonly interpolationScale: number;
}

/** The position embeddings along each side of the picture. */
export interface PositionEmbedding {
  /** [columns, width / 2]: the first half of a patch's values. */
  readonly columns: Tensor<"float32">;
  /** [rows, width / 2]: the second half. */
  readonly rows: Tensor<"float32">;
}

/**
 * Embeds the patches of a grid.
 *
 * @param rows Number of rows of the grid.
 * @param columns Number of columns of the grid.
 * @param options Width and scaling.
 * @returns The values of each column and of each row.
 * @throws {InputError} if `width` is not a multiple of 4.
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
      `The width of position embeddings must be a multiple of 4: current value is ${width}`,
    );
  }
  const along = (count: number): Tensor<"float32"> =>
    tensor("float32", [count, width / 2], axisEmbedding(count, width / 2, baseSize, interpolationScale));
  return { columns: along(columns), rows: along(rows) };
}

/**
 * Computes the sines, then the cosines, of each position along one axis. Positions are float32, angles
 * float64.
 */
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
