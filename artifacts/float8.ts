// This module is browser compatible.

/**
 * Floats of 8 bits, stored as their bits: E4M3FN, without infinities, and E5M2, which is the upper half of
 * float16. Source: Micikevicius et al., "FP8 Formats for Deep Learning" (https://arxiv.org/abs/2209.05433),
 * table 1.
 *
 * @module
 */

import { float16Value } from "./float16.ts";

/** The floating point types of 8 bits. */
export type Float8DType = "float8e4m3fn" | "float8e5m2";

const E4M3_BIAS = 7;

/**
 * The value of each of the 256 bit patterns, in float32, where all of them are exact.
 *
 * @example Usage
 * ```ts
 * import { FLOAT8_VALUES } from "./float8.ts";
 * console.assert(FLOAT8_VALUES.float8e4m3fn[0x7e] === 448);
 * ```
 */
export const FLOAT8_VALUES: Readonly<Record<Float8DType, Float32Array>> = {
  float8e4m3fn: Float32Array.from({ length: 256 }, (_, bits) => fromE4M3(bits)),
  float8e5m2: Float32Array.from({ length: 256 }, (_, bits) => float16Value(bits << 8)),
};

/** Returns whether an element type is an 8-bit float. */
export function isFloat8(dtype: string): dtype is Float8DType {
  return Object.hasOwn(FLOAT8_VALUES, dtype);
}

/**
 * Converts E4M3FN: four bits of exponent, three of fraction. The largest pattern is NaN, and there are no
 * infinities.
 */
function fromE4M3(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = bits >> 3 & 0xf;
  const fraction = bits & 0x7;
  if (exponent === 0xf && fraction === 0x7) return NaN;
  const isSubnormal = exponent === 0;
  return sign * (isSubnormal ? fraction / 8 : 1 + fraction / 8) * 2 ** (Math.max(exponent, 1) - E4M3_BIAS);
}
