// This module is browser compatible.

/**
 * Tensors: an element type, a shape, and a dense row-major array.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { ARRAY_TYPES, type DType, type ElementArrays } from "./dtype.ts";

/** A dense tensor, row-major. `Tensor<"float32">` fixes the element type. */
export type Tensor<D extends DType = DType> = {
  [K in D]: {
    /** Element type. */
    readonly dtype: K;
    /** Sizes of the axes; `[]` for a scalar. */
    readonly shape: readonly number[];
    /** The elements, row-major; its length is the product of `shape`. */
    readonly data: ElementArrays[K];
  };
}[D];

/** Returns the number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/**
 * Makes a tensor, and checks that array, element type and shape match.
 *
 * @param dtype Element type.
 * @param shape Sizes of the axes, whole and not negative.
 * @param data The elements. They are not copied.
 * @returns The tensor.
 * @throws {InputError} if `data` is not the array type of `dtype`, or its length is not that of `shape`.
 * @throws {InputError} if a size is negative or not whole.
 *
 * @example Usage
 * ```ts
 * import { tensor } from "./tensor.ts";
 * const latents = tensor("float32", [1, 4, 8, 8], new Float32Array(256));
 * ```
 */
export function tensor<D extends DType>(
  dtype: D,
  shape: readonly number[],
  data: ElementArrays[D],
): Tensor<D> {
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new InputError(
        "invalid_shape",
        `Cannot make a tensor of shape [${shape}]: sizes must be whole and >= 0`,
      );
    }
  }
  if (!(data instanceof ARRAY_TYPES[dtype])) {
    throw new InputError(
      "invalid_shape",
      `Cannot make a ${dtype} tensor: its data must be a ${ARRAY_TYPES[dtype].name}`,
    );
  }
  if (data.length !== elementCount(shape)) {
    throw new InputError(
      "invalid_shape",
      `Cannot make a tensor of shape [${shape}]: it needs ${
        elementCount(shape)
      } elements, but there are ${data.length}`,
    );
  }
  return { dtype, shape: [...shape], data } as Tensor<D>;
}

/** Returns the bytes of a tensor's elements without copying them. */
export function tensorBytes(value: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = value.data;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * Releases memory immediately, without waiting for garbage collection. Nothing that shares it can be read
 * afterwards.
 *
 * @param buffer The memory. Memory that several threads share is left to the garbage collector.
 */
export function releaseBuffer(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}
