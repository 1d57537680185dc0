// This module is browser compatible.

/**
 * Feature maps in memory, in row-major order. Any range of rows is contiguous, so graphs read and write it
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

/** Returns the size of feature maps in bytes in float32. */
export function mapBytes({ rows, channels, width }: FeatureMapSizes): number {
  return Float32Array.BYTES_PER_ELEMENT * rows * channels * width;
}

/** Feature maps [rows, channels, width] in float32. */
export class FeatureMaps implements FeatureMapSizes {
  readonly rows: number;
  readonly channels: number;
  readonly width: number;
  readonly #memory: Float32Array<ArrayBuffer>;
  readonly #before: number;

  /**
   * @param sizes Rows, channels and width.
   * @param before Number of free rows to reserve before the first, for {@linkcode FeatureMaps.movedUp}.
   * @param memory Existing memory to use; allocated if omitted.
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

  /** Returns a view of some rows, [end - first, channels, width]. */
  view(first: number, end: number): Tensor<"float32"> {
    const { channels, width } = this;
    const row = channels * width;
    const data = this.#memory.subarray((this.#before + first) * row, (this.#before + end) * row);
    return tensor("float32", [end - first, channels, width], data);
  }

  /**
   * Returns feature maps of the same size in the same memory that start some rows earlier. They can be
   * written from the top while these are read, without overwriting rows that are still needed.
   */
  movedUp(rows: number): FeatureMaps {
    return new FeatureMaps(this, this.#before - rows, this.#memory);
  }

  /**
   * Releases the memory immediately instead of waiting for garbage collection. Nothing can be read
   * afterwards.
   */
  release(): void {
    releaseBuffer(this.#memory.buffer);
  }
}
