// This module is browser compatible.

/**
 * The weights of predictions in a stochastic Adams step: integrals of the polynomials through them.
 *
 * Sources: Xue et al. 2023, "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models",
 * section 4; diffusers `get_coefficients_fn` of `schedulers/scheduling_sasolver.py`.
 *
 * @module
 */

import { exp32, f32 } from "./float32.ts";

/** The levels of a step as half log-SNR in float32. */
export interface AdamsInterval {
  /** The level at which the step starts. */
  readonly from: number;
  /** The level at which the step ends. */
  readonly to: number;
  /** The levels of the predictions, newest first; as many as the order. */
  readonly nodes: readonly number[];
  /** The amount of added noise: 0 for none, 1 for as much as the reversed diffusion adds. */
  readonly tau: number;
  /** Whether predictions are of the clean sample; otherwise they are of the noise. */
  readonly predictsClean: boolean;
}

/**
 * Returns a weight for each prediction. Every operation is rounded to float32 in the reference's order: the
 * coefficients of the polynomials are ill-conditioned, so another order yields other digits.
 */
export function adamsCoefficients({ from, to, nodes, tau, predictsClean }: AdamsInterval): number[] {
  const integral = (power: number): number =>
    predictsClean ? growingIntegral(power, from, to, 1 + tau ** 2) : fallingIntegral(power, from, to);
  return nodes.map((_, index) =>
    lagrangeBasis(nodes, index).reduce(
      (sum, coefficient, at) => f32(sum + f32(coefficient * integral(nodes.length - 1 - at))),
      0,
    )
  );
}

/**
 * Returns the term that the second order adds to a predictor's newest weight and subtracts from the other
 * one; steps of any size then keep the paper's order.
 */
export function predictorRefinement({ from, to, tau, nodes }: AdamsInterval): number {
  const [h, scale] = [f32(to - from), 1 + tau ** 2];
  const excess = f32(f32(f32(h * h) / 2) - f32(exponentialExcess(h, scale) / scale ** 2));
  return f32(f32(exp32(f32(scale * to)) * excess) / f32(from - nodes[1]!));
}

/** Returns the same term for a corrector. */
export function correctorRefinement({ from, to, tau }: AdamsInterval): number {
  const [h, scale] = [f32(to - from), 1 + tau ** 2];
  const excess = f32(f32(h / 2) - f32(exponentialExcess(h, scale) / f32(scale ** 2 * h)));
  return f32(exp32(f32(scale * to)) * excess);
}

/** Returns h - 1 + exp(-h) for a scaled h. */
function exponentialExcess(h: number, scale: number): number {
  return f32(f32(f32(h * scale) - 1) + exp32(f32(scale * -h)));
}

/**
 * Returns the coefficients of the polynomial that is 1 at a node and 0 at the others, highest power first.
 */
function lagrangeBasis(nodes: readonly number[], one: number): number[] {
  const others = nodes.filter((_, index) => index !== one);
  const divisor = others.map((node) => f32(nodes[one]! - node)).reduce(
    (product, factor) => f32(product * factor),
    1,
  );
  const [a = 0, b = 0, c = 0] = others;
  switch (others.length) {
    case 0:
      return [1];
    case 1:
      return [f32(1 / divisor), f32(-a / divisor)];
    case 2:
      return [f32(1 / divisor), f32(f32(-a - b) / divisor), f32(f32(a * b) / divisor)];
    default:
      return [
        f32(1 / divisor),
        f32(f32(f32(-a - b) - c) / divisor),
        f32(f32(f32(f32(a * b) + f32(a * c)) + f32(b * c)) / divisor),
        f32(f32(f32(-a * b) * c) / divisor),
      ];
  }
}

/** Returns the integral of exp(scale x) xⁿ, in units of the noise. */
function growingIntegral(power: number, from: number, to: number, scale: number): number {
  const [start, end] = [f32(scale * from), f32(scale * to)];
  const decay = exp32(-f32(end - start));
  const difference = f32(byParts(power, end, -1) - f32(byParts(power, start, -1) * decay));
  return f32(f32(exp32(end) * difference) / scale ** (power + 1));
}

/** Returns the integral of exp(-x) xⁿ. */
function fallingIntegral(power: number, from: number, to: number): number {
  const growth = exp32(f32(to - from));
  return f32(exp32(-to) * f32(f32(byParts(power, from, 1) * growth) - byParts(power, to, 1)));
}

/**
 * Returns the factor of the exponential after integration by parts: xⁿ, n xⁿ⁻¹ and so on, with alternating
 * signs if `sign` is -1.
 */
function byParts(power: number, x: number, sign: 1 | -1): number {
  const square = f32(x * x);
  switch (power) {
    case 0:
      return 1;
    case 1:
      return f32(x + sign);
    case 2:
      return f32(f32(square + sign * f32(2 * x)) + 2);
    default:
      return f32(f32(f32(f32(square * x) + sign * f32(3 * square)) + f32(6 * x)) + sign * 6);
  }
}
