// This module is browser compatible.

/**
 * Converts between float32 and the two 16-bit types, which are stored as their bits, and from other floats to
 * float32. Rounds to nearest, ties to even. Subnormals, infinities and NaN are exact. Source: IEEE 754-2019,
 * binary16; for bfloat16 the rounding of PyTorch's `c10/util/BFloat16.h`.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { ElementArrays } from "./dtype.ts";
import { fromFloat16Bits, toFloat16Bits } from "./float16.ts";
import { FLOAT8_VALUES } from "./float8.ts";
import type { Tensor } from "./tensor.ts";

/** The floating point types of 16 and 32 bits. */
export type FloatDType = "float32" | "float16" | "bfloat16";

const BFLOAT16_NAN = 0x7fc0;

/**
 * Converts a tensor to float32. Floats of 8 and 16 bits are exact there; those of 64 bits are rounded to the
 * nearest value.
 *
 * @param value A tensor of floats.
 * @param name Name of the tensor, for errors.
 * @returns A float32 tensor of the same shape; `value` itself if it is already float32.
 * @throws {InputError} if it is of another type.
 */
export function toFloat32(value: Tensor, name = "a tensor"): Tensor<"float32"> {
  switch (value.dtype) {
    case "float32":
      return value;
    case "float64":
      return { dtype: "float32", shape: value.shape, data: Float32Array.from(value.data) };
    case "float8e4m3fn":
    case "float8e5m2": {
      const values = FLOAT8_VALUES[value.dtype];
      return {
        dtype: "float32",
        shape: value.shape,
        data: Float32Array.from(value.data, (bits) => values[bits]!),
      };
    }
    case "float16":
      return { dtype: "float32", shape: value.shape, data: fromFloat16Bits(value.data) };
    case "bfloat16":
      return { dtype: "float32", shape: value.shape, data: fromBfloat16Bits(value.data) };
    default:
      throw new InputError(
        "invalid_shape",
        `Cannot convert ${name} from ${value.dtype} to float32: it must contain floats of 8 to 64 bits`,
      );
  }
}

/**
 * Converts float32 values to another type, rounding to nearest, ties to even.
 *
 * @param values The values.
 * @param dtype The target type.
 * @returns The values, as bits for the 16-bit types; `values` itself for float32.
 *
 * @example Usage
 * ```ts
 * import { fromFloat32 } from "./half_precision.ts";
 * console.assert(fromFloat32(new Float32Array([1]), "float16")[0] === 0x3c00);
 * ```
 */
export function fromFloat32<D extends FloatDType>(values: Float32Array, dtype: D): ElementArrays[D];
export function fromFloat32(values: Float32Array, dtype: FloatDType): Float32Array | Uint16Array {
  switch (dtype) {
    case "float32":
      return values;
    case "float16":
      return toFloat16Bits(values);
    case "bfloat16":
      return toBfloat16Bits(values);
  }
}

function fromBfloat16Bits(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let index = 0; index < bits.length; index++) words[index] = bits[index]! << 16;
  return new Float32Array(words.buffer);
}

function toBfloat16Bits(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let index = 0; index < bits.length; index++) {
    const word = words[index]!;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    // Half a unit minus one, plus the lowest kept bit: a tie rounds up only if that makes the last bit even.
    bits[index] = isNaN ? BFLOAT16_NAN : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}
