// This module is browser compatible.

/**
 * The quantiles of the beta distribution.
 *
 * Source: Press et al., Numerical Recipes, section 6.4 (continued fraction of the incomplete beta function,
 * by Lentz's method).
 *
 * @module
 */

const SMALLEST = 1e-300;
const PRECISION = 1e-16;

/**
 * Returns the quantile of the beta distribution whose two parameters both equal `shape`.
 *
 * @param probability The share of the weight below the quantile, from 0 to 1.
 * @param shape The value of both parameters; above 0.
 * @returns The quantile, from 0 to 1.
 */
export function symmetricBetaQuantile(probability: number, shape: number): number {
  if (probability <= 0) return 0;
  if (probability >= 1) return 1;
  if (probability > 0.5) return 1 - symmetricBetaQuantile(1 - probability, shape);
  let low = 0;
  let high = 0.5;
  while (high - low > PRECISION * high) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    if (regularizedBeta(middle, shape) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Returns the share of the weight below `x`, relative to the total, for `x` up to 0.5. */
function regularizedBeta(x: number, shape: number): number {
  return 0.5 * lowerWeight(x, shape) / lowerWeight(0.5, shape);
}

/** Returns the incomplete beta function for `x` up to 0.5. */
function lowerWeight(x: number, shape: number): number {
  const front = Math.exp(shape * (Math.log(x) + Math.log1p(-x))) / shape;
  let d = 1 / clear(1 - 2 * shape * x / (shape + 1));
  let c = 1;
  let fraction = d;
  for (let m = 1; m < 500; m++) {
    const even = m * (shape - m) * x / ((shape + 2 * m - 1) * (shape + 2 * m));
    d = 1 / clear(1 + even * d);
    c = clear(1 + even / c);
    fraction *= d * c;
    const odd = -(shape + m) * (2 * shape + m) * x / ((shape + 2 * m) * (shape + 2 * m + 1));
    d = 1 / clear(1 + odd * d);
    c = clear(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < PRECISION) break;
  }
  return front * fraction;
}

function clear(x: number): number {
  return Math.abs(x) < SMALLEST ? SMALLEST : x;
}
