// This module is browser compatible.

/**
 * Scalars as the reference computes them: float32, rounded after every operation. Sums, products, quotients and square
 * roots are exact this way, as float64 holds more than twice the digits; the others are correctly rounded but for a
 * rare last bit.
 *
 * @module
 */

/** Rounds to float32. */
export const f32: (x: number) => number = Math.fround;

/** Square root in float32. */
export function sqrt32(x: number): number {
  return f32(Math.sqrt(x));
}

/** Natural logarithm in float32. */
export function log32(x: number): number {
  return f32(Math.log(x));
}

/** Exponential in float32. */
export function exp32(x: number): number {
  return f32(Math.exp(x));
}

/** e^x - 1 in float32, exact near 0 too. */
export function expm132(x: number): number {
  return f32(Math.expm1(x));
}
