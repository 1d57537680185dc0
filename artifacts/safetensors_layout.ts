// This module is browser compatible.

/**
 * The layout of a safetensors file whose tensors are written one by one, as they become available.
 *
 * @module
 */

import { bytesPerElement, type DType } from "./dtype.ts";
import { SAFETENSORS_NAMES } from "./safetensors_dtypes.ts";
import { LENGTH_BYTES } from "./safetensors_header.ts";
import { elementCount } from "./tensor.ts";

/** A tensor to be written. */
export interface PlannedTensor {
  /** Name of the tensor. */
  readonly name: string;
  /** Element type of the tensor. */
  readonly dtype: DType;
  /** Shape of the tensor. */
  readonly shape: readonly number[];
}

const ALIGNMENT = 8;

/** Returns the number of bytes of a tensor. */
export function plannedBytes({ dtype, shape }: Omit<PlannedTensor, "name">): number {
  return bytesPerElement(dtype) * elementCount(shape);
}

/**
 * Returns the header of a safetensors file, padded such that the data starts at a multiple of 8 bytes.
 *
 * @param tensors The tensors, in the order of their data.
 * @param metadata Metadata strings.
 * @returns The bytes before the data.
 *
 * @example Usage
 * ```ts
 * import { safetensorsHeaderBytes } from "./safetensors_layout.ts";
 *
 * const header = safetensorsHeaderBytes([{ name: "bias", dtype: "float32", shape: [2] }]);
 * console.assert(header.length % 8 === 0);
 * ```
 */
export function safetensorsHeaderBytes(
  tensors: readonly PlannedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let end = 0;
  for (const tensor of tensors) {
    const begin = end;
    end += plannedBytes(tensor);
    header[tensor.name] = {
      dtype: SAFETENSORS_NAMES[tensor.dtype],
      shape: tensor.shape,
      data_offsets: [begin, end],
    };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}
