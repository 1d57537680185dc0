// This module is browser compatible.

/**
 * Element types of safetensors files, by their names in the header.
 *
 * @module
 */

import type { DType } from "./dtype.ts";

/**
 * Number of bits per element of every type in the format, in the format's own order from narrowest to widest.
 * Writers sort tensors by it, widest first, which aligns all of them.
 */
export const SAFETENSORS_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** An element type, as a safetensors header names it. */
export type SafetensorsDType = keyof typeof SAFETENSORS_BITS;

/** The header's name of each element type in memory. */
export const SAFETENSORS_NAMES: Readonly<Record<DType, SafetensorsDType>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float8e4m3fn: "F8_E4M3",
  float8e5m2: "F8_E5M2",
  int64: "I64",
  uint64: "U64",
  int32: "I32",
  uint32: "U32",
  int16: "I16",
  uint16: "U16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
};

const MEMORY_NAMES: ReadonlyMap<SafetensorsDType, DType> = new Map(
  Object.entries(SAFETENSORS_NAMES).map(([dtype, name]) => [name, dtype as DType]),
);

/** Returns whether a name is one of the format's element types. */
export function isSafetensorsDType(name: string): name is SafetensorsDType {
  return Object.hasOwn(SAFETENSORS_BITS, name);
}

/**
 * Returns the element type in memory, or `undefined` for complex numbers and for other kinds of 4, 6 and 8
 * bit floats.
 */
export function memoryDType(name: SafetensorsDType): DType | undefined {
  return MEMORY_NAMES.get(name);
}
