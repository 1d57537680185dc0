// This module is browser compatible.

import { InputError } from "../errors/pixstage_error.ts";

/** Distance between two tensors. */
export interface TensorDifference {
  /** Cosine of the angle between them. */
  readonly cosine: number;
  /** Length of their difference divided by the length of the first. */
  readonly relativeError: number;
  /** Largest absolute difference of two values. */
  readonly largestError: number;
}

/**
 * Compares two tensors, value by value.
 *
 * @param a The reference.
 * @param b The tensor to compare.
 * @throws {InputError} if their lengths differ.
 *
 * @example Usage
 * ```ts
 * import { compareTensors } from "./compare_tensors.ts";
 * import assert from "node:assert/strict";
 * assert.deepEqual(compareTensors(Float32Array.of(3, 4), Float32Array.of(3, 4)), {
 *   cosine: 1,
 *   relativeError: 0,
 *   largestError: 0,
 * });
 * ```
 */
export function compareTensors(a: Float32Array, b: Float32Array): TensorDifference {
  if (a.length !== b.length) {
    throw new InputError(
      "invalid_shape",
      `Cannot compare tensors of different lengths: ${a.length} and ${b.length}`,
    );
  }
  let dot = 0;
  let squareA = 0;
  let squareB = 0;
  let square = 0;
  let largestError = 0;
  for (let index = 0; index < a.length; index++) {
    const x = a[index]!;
    const y = b[index]!;
    dot += x * y;
    squareA += x * x;
    squareB += y * y;
    square += (x - y) ** 2;
    largestError = Math.max(largestError, Math.abs(x - y));
  }
  return {
    cosine: dot / Math.sqrt(squareA * squareB),
    relativeError: Math.sqrt(square / squareA),
    largestError,
  };
}
