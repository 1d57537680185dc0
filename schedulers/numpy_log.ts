// This module is browser compatible.

/**
 * The natural logarithm of float32 numbers as numpy computes it on x86 processors. Its last bit is wrong in
 * one case of seven. If timesteps are derived from noise levels, that bit decides between a timestep and its
 * neighbour.
 *
 * Source: numpy `loops_exponent_log.dispatch.c.src` (a rational minimax approximation of log(1 + y) / y).
 *
 * @module
 */

import { f32, log32 } from "./float32.ts";

const NUMERATOR = [
  2.589979117907922693523e-02,
  3.808837741388407920751e-01,
  1.480000633576506585156,
  2.112677543073053063722,
  9.999999999999998702752e-01,
  0,
].map(f32);
const DENOMINATOR = [
  5.875095403124574342950e-03,
  1.546476374983906719538e-01,
  9.864942958519418960339e-01,
  2.453006071784736363091,
  2.612677543073109236779,
  1,
].map(f32);
const LN_2 = f32(Math.LN2);
const SMALLEST_NORMAL = 2 ** -126;

/** Returns the natural logarithm of a float32 number, rounded as numpy rounds it. */
export function numpyLog32(x: number): number {
  if (!(x >= SMALLEST_NORMAL && x < Infinity)) return log32(x);
  let exponent = Math.floor(Math.log2(x));
  if (2 ** exponent > x) exponent--;
  if (x / 2 ** exponent > Math.SQRT2) exponent++;
  const y = f32(x / 2 ** exponent - 1);
  return f32(exponent * LN_2 + f32(polynomial(NUMERATOR, y) / polynomial(DENOMINATOR, y)));
}

/** Evaluates a polynomial by Horner's scheme, with one rounding for each product and sum together. */
function polynomial(coefficients: readonly number[], y: number): number {
  return coefficients.reduce((sum, coefficient) => f32(sum * y + coefficient));
}
