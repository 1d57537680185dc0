// This module is browser compatible.

/**
 * The weights of predictions in a stochastic Adams step: integrals of the polynomials through them.
 *
 * Sources: Xue et al. 2023, "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models", section 4; diffusers
 * `get_coefficients_fn` of `schedulers/scheduling_sasolver.py`.
 *
 * @module
 */

import { exp32, f32 } from "./float32.ts";

/** Between which levels a step goes, as halves of the log-SNR in float32. */
export interface AdamsInterval {
  /** Where it starts. */
  readonly from: number;
  /** Where it ends. */
  readonly to: number;
  /** The levels of the predictions, newest first: as many as the order. */
  readonly nodes: readonly number[];
  /** How much noise is added: 0 for none, 1 for as much as the reversed diffusion has. */
  readonly tau: number;
  /** Whether predictions are of the clean sample; of the noise otherwise. */
  readonly predictsClean: boolean;
}

/**
 * A weight for each prediction. Rounded to float32 after every operation in the reference's order: the coefficients of
 * the polynomials are ill-conditioned, and another order gives other digits.
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
 * What the second order adds to the newest weight of a predictor and takes from the other, so that steps of any size
 * keep the paper's order.
 */
export function predictorRefinement({ from, to, tau, nodes }: AdamsInterval): number {
  const [h, scale] = [f32(to - from), 1 + tau ** 2];
  const excess = f32(f32(f32(h * h) / 2) - f32(exponentialExcess(h, scale) / scale ** 2));
  return f32(f32(exp32(f32(scale * to)) * excess) / f32(from - nodes[1]!));
}

/** The same for a corrector. */
export function correctorRefinement({ from, to, tau }: AdamsInterval): number {
  const [h, scale] = [f32(to - from), 1 + tau ** 2];
  const excess = f32(f32(h / 2) - f32(exponentialExcess(h, scale) / f32(scale ** 2 * h)));
  return f32(exp32(f32(scale * to)) * excess);
}

/** h - 1 + exp(-h), h scaled. */
function exponentialExcess(h: number, scale: number): number {
  return f32(f32(f32(h * scale) - 1) + exp32(f32(scale * -h)));
}

/** The polynomial that is 1 at a node and 0 at the others, highest power first. */
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

/** The integral of exp(scale x) xⁿ, in units of the noise. */
function growingIntegral(power: number, from: number, to: number, scale: number): number {
  const [start, end] = [f32(scale * from), f32(scale * to)];
  const decay = exp32(-f32(end - start));
  const difference = f32(byParts(power, end, -1) - f32(byParts(power, start, -1) * decay));
  return f32(f32(exp32(end) * difference) / scale ** (power + 1));
}

/** The integral of exp(-x) xⁿ. */
function fallingIntegral(power: number, from: number, to: number): number {
  const growth = exp32(f32(to - from));
  return f32(exp32(-to) * f32(f32(byParts(power, from, 1) * growth) - byParts(power, to, 1)));
}

/** What integration by parts leaves beside the exponential: xⁿ, n xⁿ⁻¹ and so on, with changing signs where `sign` is -1. */
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
