// This module is browser compatible.

/**
 * Logarithm, sine and cosine in float32, bit for bit as PyTorch's vectorised CPU path computes them.
 *
 * Both use the polynomials of the Cephes library. Every operation rounds to float32. If a compiler fuses a
 * product with a sum, the product stays unrounded; `fround(a * b + c)` reproduces that, because the product
 * of two float32 numbers is exact in float64. The sum is then rounded twice, first to float64. A check over
 * all 2^24 uniform numbers that a generator can draw showed that the result equals that of a single rounding.
 *
 * Source: Cephes `logf.c` and `sinf.c` (S. Moshier), in the order of operations of PyTorch's
 * `aten/src/ATen/native/cpu/avx_mathfun.h`.
 *
 * @module
 */

const { fround } = Math;

const SQRT_HALF = fround(0.707106781186547524);
const LN2_LOW = fround(-2.12194440e-4);
const LN2_HIGH = fround(0.693359375);
const LOG_0 = fround(7.0376836292e-2);
const LOG_1 = fround(-1.1514610310e-1);
const LOG_2 = fround(1.1676998740e-1);
const LOG_3 = fround(-1.2420140846e-1);
const LOG_4 = fround(1.4249322787e-1);
const LOG_5 = fround(-1.6668057665e-1);
const LOG_6 = fround(2.0000714765e-1);
const LOG_7 = fround(-2.4999993993e-1);
const LOG_8 = fround(3.3333331174e-1);

const EXPONENT_BIAS = 0x7e;
const EXPONENT_BITS = 0x7f800000;
const EXPONENT_OF_HALF = 0x3f000000;

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/**
 * Returns the natural logarithm in float32.
 *
 * @param value A positive, normal float32 number.
 * @returns Its logarithm.
 */
export function log32(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0]!;
  let exponent = (bits >>> 23) - EXPONENT_BIAS;
  scratchBits[0] = (bits & ~EXPONENT_BITS) | EXPONENT_OF_HALF;
  const mantissa = scratch[0]!;
  let x = fround(mantissa - 1);
  if (mantissa < SQRT_HALF) {
    exponent -= 1;
    x = fround(x + mantissa);
  }
  const square = fround(x * x);
  let y = fround(LOG_0 * x + LOG_1);
  y = fround(y * x + LOG_2);
  y = fround(y * x + LOG_3);
  y = fround(y * x + LOG_4);
  y = fround(y * x + LOG_5);
  y = fround(y * x + LOG_6);
  y = fround(y * x + LOG_7);
  y = fround(y * x + LOG_8);
  y = fround(y * x);
  y = fround(y * square + fround(exponent * LN2_LOW));
  y = fround(y - square * 0.5);
  return fround(exponent * LN2_HIGH + fround(x + y));
}

const FOUR_OVER_PI = fround(1.27323954473516);
// Pi / 4 in three parts: subtracting multiples of it loses no digits this way.
const QUARTER_PI_HIGH = fround(-0.78515625);
const QUARTER_PI_MIDDLE = fround(-2.4187564849853515625e-4);
const QUARTER_PI_LOW = fround(-3.77489497744594108e-8);
const COS_0 = fround(2.443315711809948e-5);
const COS_1 = fround(-1.388731625493765e-3);
const COS_2 = fround(4.166664568298827e-2);
const SIN_0 = fround(-1.9515295891e-4);
const SIN_1 = fround(8.3321608736e-3);
const SIN_2 = fround(-1.6666654611e-1);

/**
 * Computes sine and cosine in float32.
 *
 * @param angle An angle in radians, a float32 number from 0 to 8192.
 * @param result Receives the sine at index 0 and the cosine at index 1.
 */
export function sincos32(angle: number, result: Float32Array): void {
  const octant = (Math.trunc(fround(angle * FOUR_OVER_PI)) + 1) & ~1;
  let x = fround(octant * QUARTER_PI_HIGH + angle);
  x = fround(octant * QUARTER_PI_MIDDLE + x);
  x = fround(octant * QUARTER_PI_LOW + x);
  const square = fround(x * x);
  let cosine = fround(COS_0 * square + COS_1);
  cosine = fround(cosine * square + COS_2);
  cosine = fround(cosine * square);
  cosine = fround(cosine * square - fround(square * 0.5));
  cosine = fround(cosine + 1);
  let sine = fround(SIN_0 * square + SIN_1);
  sine = fround(sine * square + SIN_2);
  sine = fround(sine * square);
  sine = fround(sine * x + x);
  const swapped = (octant & 2) !== 0;
  const sineSign = (octant & 4) !== 0 ? -1 : 1;
  const cosineSign = ((octant - 2) & 4) === 0 ? -1 : 1;
  result[0] = sineSign * (swapped ? cosine : sine);
  result[1] = cosineSign * (swapped ? sine : cosine);
}
