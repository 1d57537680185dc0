// This module is browser compatible.

/**
 * FeatureMaps in memory, row after row, so that any run of rows is one piece of memory: what a graph reads and writes
 * without a copy.
 *
 * @module
 */

import { ARRAY_TYPES } from "../../../artifacts/dtype.ts";
import { releaseBuffer, type Tensor, tensor } from "../../../artifacts/tensor.ts";

/** Sizes of feature maps. */
export interface FeatureMapSizes {
  readonly rows: number;
  readonly channels: number;
  readonly width: number;
}

/** Bytes of feature maps in float32. */
export function mapBytes({ rows, channels, width }: FeatureMapSizes): number {
  return Float32Array.BYTES_PER_ELEMENT * rows * channels * width;
}

/** FeatureMaps [rows, channels, width] in float32. */
export class FeatureMaps implements FeatureMapSizes {
  readonly rows: number;
  readonly channels: number;
  readonly width: number;
  readonly #memory: Float32Array<ArrayBuffer>;
  readonly #before: number;

  /**
   * @param sizes Rows, channels and width.
   * @param before Rows of memory that are kept free before the first, for {@linkcode FeatureMaps.movedUp}.
   * @param memory Memory that is at hand; new if left out.
   */
  constructor(
    sizes: FeatureMapSizes,
    before = 0,
    memory = new ARRAY_TYPES.float32((sizes.rows + before) * sizes.channels * sizes.width),
  ) {
    this.rows = sizes.rows;
    this.channels = sizes.channels;
    this.width = sizes.width;
    this.#before = before;
    this.#memory = memory;
  }

  /** Some rows, [end - first, channels, width], as a view. */
  view(first: number, end: number): Tensor<"float32"> {
    const { channels, width } = this;
    const row = channels * width;
    const data = this.#memory.subarray((this.#before + first) * row, (this.#before + end) * row);
    return tensor("float32", [end - first, channels, width], data);
  }

  /**
   * Feature maps of the same size in the same memory, begun some rows earlier: to be written from the top while these
   * are read,
   * so that rows that are needed once more are not yet overwritten.
   */
  movedUp(rows: number): FeatureMaps {
    return new FeatureMaps(this, this.#before - rows, this.#memory);
  }

  /** Gives the memory back at once, without waiting for a garbage collection. Nothing can be read after it. */
  release(): void {
    releaseBuffer(this.#memory.buffer);
  }
}
