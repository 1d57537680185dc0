// This module is browser compatible.

/**
 * Scalars as the reference computes them: in float32, rounded after every operation. Sums, products,
 * quotients and square roots are exact this way, because float64 has more than twice the digits. The other
 * functions are correctly rounded except for a rare last bit.
 *
 * @module
 */

/** Rounds to float32. */
export const f32: (x: number) => number = Math.fround;

/** Returns the square root in float32. */
export function sqrt32(x: number): number {
  return f32(Math.sqrt(x));
}

/** Returns the natural logarithm in float32. */
export function log32(x: number): number {
  return f32(Math.log(x));
}

/** Returns the exponential in float32. */
export function exp32(x: number): number {
  return f32(Math.exp(x));
}

/** Returns e^x - 1 in float32; exact near 0 too. */
export function expm132(x: number): number {
  return f32(Math.expm1(x));
}
