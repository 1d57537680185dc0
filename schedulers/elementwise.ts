// This module is browser compatible.

/**
 * Arithmetic on whole samples, rounded to float32 after every operation as in PyTorch. Every function returns
 * a new array.
 *
 * @module
 */

const { fround } = Math;

/**
 * Returns `coefficients[0] * arrays[0] + coefficients[1] * arrays[1] + …`, summed from left to right.
 *
 * @param coefficients One float32 number per array.
 * @param arrays Arrays of equal length.
 */
export function linearCombination(
  coefficients: readonly number[],
  arrays: readonly Float32Array[],
): Float32Array {
  const sum = scaled(arrays[0]!, coefficients[0]!);
  for (let term = 1; term < arrays.length; term++) {
    const coefficient = coefficients[term]!;
    const array = arrays[term]!;
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + fround(coefficient * array[i]!);
  }
  return sum;
}

/** Returns `coefficient * array`. */
export function scaled(array: Float32Array, coefficient: number): Float32Array {
  const product = new Float32Array(array.length);
  for (let i = 0; i < product.length; i++) product[i] = coefficient * array[i]!;
  return product;
}

/** Returns `array / divisor`. */
export function quotient(array: Float32Array, divisor: number): Float32Array {
  const result = new Float32Array(array.length);
  for (let i = 0; i < result.length; i++) result[i] = array[i]! / divisor;
  return result;
}

/** Returns `coefficient * (a - b)`. */
export function scaledDifference(coefficient: number, a: Float32Array, b: Float32Array): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = coefficient * fround(a[i]! - b[i]!);
  return result;
}

/** Returns `(a - b) / divisor`. */
export function differenceQuotient(a: Float32Array, b: Float32Array, divisor: number): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = fround(a[i]! - b[i]!) / divisor;
  return result;
}
