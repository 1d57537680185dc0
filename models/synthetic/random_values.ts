// This module is browser compatible.

/**
 * Fast, reproducible random weights: slices of one block of noise that start at a different offset for each
 * tensor.
 *
 * @module
 */

import { bytesPerElement } from "../../artifacts/dtype.ts";
import { type FloatDType, fromFloat32 } from "../../artifacts/half_precision.ts";
import { elementCount } from "../../artifacts/tensor.ts";
import type { RequiredWeight } from "./required_weights.ts";
import { weightSpread } from "./weight_spread.ts";

/**
 * Block sizes for large and small models. They are prime so that no two rows of a matrix start at the same
 * offset of the block.
 */
const BLOCK = 4_194_301;
const SMALL_BLOCK = 65_537;
const SMALL_WEIGHT = 1 << 20;
/** Number of cached blocks with different distributions. A model has about eight distributions. */
const KEPT_BLOCKS = 4;

/** Generates the bytes of random weights in pieces. */
export class RandomValues {
  readonly #dtype: FloatDType;
  readonly #noise: Float32Array;
  readonly #blocks = new Map<string, Uint8Array>();

  /**
   * @param dtype Element type of the weights.
   * @param largest Number of elements of the largest weight.
   */
  constructor(dtype: FloatDType, largest: number) {
    this.#dtype = dtype;
    this.#noise = uniformNoise(largest > SMALL_WEIGHT ? BLOCK : SMALL_BLOCK);
  }

  /** Yields the bytes of one weight in pieces. Each piece is valid only until the next one is requested. */
  *bytes(weight: RequiredWeight): Generator<Uint8Array> {
    const block = this.#block(weight);
    const size = bytesPerElement(this.#dtype);
    const length = this.#noise.length;
    let start = hash(weight.name) % length;
    for (let left = elementCount(weight.shape); left > 0;) {
      const count = Math.min(left, length - start);
      yield block.subarray(start * size, (start + count) * size);
      left -= count;
      start = 0;
    }
  }

  /** Returns the noise with the distribution of this weight, in the weights' element type. */
  #block(weight: RequiredWeight): Uint8Array {
    const { mean, deviation } = weightSpread(weight);
    const key = `${mean} ${deviation}`;
    const known = this.#blocks.get(key);
    if (known) return known;
    const values = fromFloat32(this.#noise.map((value) => mean + deviation * value), this.#dtype);
    const block = new Uint8Array(values.buffer);
    const [oldest] = this.#blocks.keys();
    if (this.#blocks.size >= KEPT_BLOCKS && oldest !== undefined) this.#blocks.delete(oldest);
    this.#blocks.set(key, block);
    return block;
  }
}

/**
 * Generates uniform values with mean 0 and variance 1 by xorshift. Source: Marsaglia,
 * https://doi.org/10.18637/jss.v008.i14
 */
function uniformNoise(count: number): Float32Array {
  const values = new Float32Array(count);
  const scale = Math.sqrt(3) / 2 ** 31;
  let state = 0x9e3779b9 | 0;
  for (let index = 0; index < count; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[index] = state * scale;
  }
  return values;
}

/** Computes the FNV-1a hash of a text. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
