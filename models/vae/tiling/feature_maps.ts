// This module is browser compatible.

/**
 * Feature maps in memory, in row-major order. They consist of strips with memory of their own, so that the
 * rows that have been read can be released while those below are still needed.
 *
 * @module
 */

import { ARRAY_TYPES } from "../../../artifacts/dtype.ts";
import { InternalError } from "../../../errors/pixstage_error.ts";
import { releaseBuffer, type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { RowRange } from "./strips.ts";

/** Sizes of feature maps. */
export interface FeatureMapSizes {
  readonly rows: number;
  readonly channels: number;
  readonly width: number;
}

/** Some consecutive rows of feature maps. */
export interface FeatureMapStrip extends RowRange {
  /** Values [end - first, channels, width]. */
  readonly data: Float32Array;
}

/** Largest part of a strip that is copied so that the others can be released. */
const LARGEST_REST = 1 / 2;

/** Returns the size of feature maps in bytes in float32. */
export function mapBytes({ rows, channels, width }: FeatureMapSizes): number {
  return Float32Array.BYTES_PER_ELEMENT * rows * channels * width;
}

/** Feature maps [rows, channels, width] in float32, written and released from the top. */
export class FeatureMaps implements FeatureMapSizes {
  readonly rows: number;
  readonly channels: number;
  readonly width: number;
  readonly #strips: FeatureMapStrip[] = [];
  #viewed: FeatureMapStrip | undefined;
  #joined: Float32Array<ArrayBuffer> = new ARRAY_TYPES.float32(0);

  /** @param sizes Rows, channels and width. Nothing is allocated yet. */
  constructor({ rows, channels, width }: FeatureMapSizes) {
    this.rows = rows;
    this.channels = channels;
    this.width = width;
  }

  /** The strips in memory, from the top. */
  get strips(): readonly FeatureMapStrip[] {
    return this.#strips;
  }

  /**
   * Adds a strip below the others.
   *
   * @param strip Values [rows, channels, width], which become part of these feature maps.
   */
  append({ data, shape: [rows = 0] }: Tensor<"float32">): void {
    const first = this.#strips.at(-1)?.end ?? 0;
    this.#strips.push({ first, end: first + rows, data });
  }

  /**
   * Returns some rows, [end - first, channels, width]. Rows of several strips are copied into memory that the
   * next call uses again.
   */
  read(first: number, end: number): Tensor<"float32"> {
    const row = this.channels * this.width;
    const shape = [end - first, this.channels, this.width];
    const touched = this.#strips.filter((strip) => strip.first < end && strip.end > first);
    const [top] = touched;
    if (!top || top.first > first || touched.at(-1)!.end < end) {
      throw new InternalError(`Cannot read rows ${first} to ${end} of feature maps: not all are in memory`);
    }
    this.#viewed = touched.length === 1 ? top : undefined;
    if (this.#viewed) {
      return tensor("float32", shape, top.data.subarray((first - top.first) * row, (end - top.first) * row));
    }
    const joined = this.#joinedMemory((end - first) * row);
    for (const strip of touched) {
      const [from, to] = [Math.max(first, strip.first), Math.min(end, strip.end)];
      joined.set(
        strip.data.subarray((from - strip.first) * row, (to - strip.first) * row),
        (from - first) * row,
      );
    }
    return tensor("float32", shape, joined);
  }

  /**
   * Releases the rows above a row without waiting for garbage collection, except for those that the last call
   * of {@linkcode FeatureMaps.read} returned as a view.
   */
  releaseAbove(row: number): void {
    while (this.#strips.length > 0) {
      const [{ first, end, data }] = this.#strips as [FeatureMapStrip];
      const rest = Math.max(0, end - row);
      // Copying the rest of a strip is worth it only if it is small.
      if (this.#strips[0] === this.#viewed || rest > LARGEST_REST * (end - first)) return;
      this.#strips.shift();
      if (rest > 0) {
        const kept = data.slice((row - first) * this.channels * this.width);
        this.#strips.unshift({ first: row, end, data: kept });
      }
      releaseBuffer(data.buffer);
      if (rest > 0) return;
    }
  }

  /** Releases all memory immediately. Nothing can be read afterwards. */
  release(): void {
    this.#viewed = undefined;
    this.releaseAbove(this.rows);
    releaseBuffer(this.#joined.buffer);
    this.#joined = new ARRAY_TYPES.float32(0);
  }

  #joinedMemory(length: number): Float32Array<ArrayBuffer> {
    if (this.#joined.length < length) {
      releaseBuffer(this.#joined.buffer);
      this.#joined = new ARRAY_TYPES.float32(length);
    }
    return this.#joined.subarray(0, length);
  }
}
