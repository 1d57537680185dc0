// This module is browser compatible.

/**
 * One DPM-Solver update from a noise level to a lower one, shared by the multistep and singlestep solvers.
 *
 * Sources: Lu et al. 2022, "DPM-Solver" (algorithms 1 and 2) and "DPM-Solver++" (equations 8, 9 and 11;
 * section 3.4 for the stochastic ones); diffusers `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { linearCombination } from "./elementwise.ts";
import { exp32, f32, sqrt32 } from "./float32.ts";
import type { SignalLevel } from "./signal_level.ts";

/**
 * Whether the solver extrapolates the noise or the clean sample (`++`), and whether it solves the ODE or the
 * SDE.
 */
export type DpmAlgorithm = "dpmsolver" | "dpmsolver++" | "sde-dpmsolver" | "sde-dpmsolver++";

/** The rule by which a second-order update weights the slope. */
export type DpmSolverType = "midpoint" | "heun";

/** Returns whether the algorithm extrapolates the clean sample; the others extrapolate the noise. */
export function predictsClean(algorithm: DpmAlgorithm): boolean {
  return algorithm === "dpmsolver++" || algorithm === "sde-dpmsolver++";
}

/** Returns whether the algorithm adds noise at each step. */
export function isStochastic(algorithm: DpmAlgorithm): boolean {
  return algorithm === "sde-dpmsolver" || algorithm === "sde-dpmsolver++";
}

/** The inputs of an update. */
export interface DpmUpdate {
  /** The solver's algorithm. */
  readonly algorithm: DpmAlgorithm;
  /** The weight of a slope: `midpoint` uses half of the value's weight, `heun` the exact integral. */
  readonly solverType: DpmSolverType;
  /** The level that the update starts from. */
  readonly from: SignalLevel;
  /** The level that the update leads to. */
  readonly to: SignalLevel;
  /** The sample at `from`. */
  readonly sample: Float32Array;
  /** The prediction at `from` and its derivatives in lambda: one to three arrays. */
  readonly derivatives: readonly Float32Array[];
  /** Standard normal noise, for the stochastic algorithms. */
  readonly noise?: Float32Array;
}

/** Returns the sample at the level `to`. */
export function dpmSolverUpdate(update: DpmUpdate): Float32Array {
  const { derivatives, noise, sample } = update;
  const weights = updateWeights(update);
  const terms = [sample, ...derivatives];
  const coefficients = [weights.sample, weights.value, weights.slope, weights.curvature].slice(
    0,
    terms.length,
  );
  return noise
    ? linearCombination([...coefficients, weights.noise], [...terms, noise])
    : linearCombination(coefficients, terms);
}

interface UpdateWeights {
  readonly sample: number;
  readonly value: number;
  readonly slope: number;
  readonly curvature: number;
  readonly noise: number;
}

function updateWeights({ algorithm, solverType, from, to }: DpmUpdate): UpdateWeights {
  const h = f32(to.lambda - from.lambda);
  const midpoint = solverType === "midpoint";
  switch (algorithm) {
    case "dpmsolver++": {
      const decay = f32(exp32(-h) - 1);
      const value = f32(to.alpha * decay);
      return {
        sample: f32(to.sigma / from.sigma),
        value: -value,
        slope: midpoint ? -f32(0.5 * value) : f32(to.alpha * f32(f32(decay / h) + 1)),
        curvature: -f32(to.alpha * f32(f32(f32(decay + h) / f32(h * h)) - 0.5)),
        noise: 0,
      };
    }
    case "dpmsolver": {
      const growth = f32(exp32(h) - 1);
      const value = f32(to.sigma * growth);
      return {
        sample: f32(to.alpha / from.alpha),
        value: -value,
        slope: midpoint ? -f32(0.5 * value) : -f32(to.sigma * f32(f32(growth / h) - 1)),
        curvature: -f32(to.sigma * f32(f32(f32(growth - h) / f32(h * h)) - 0.5)),
        noise: 0,
      };
    }
    case "sde-dpmsolver++": {
      const twice = f32(2 * h);
      const lost = f32(1 - exp32(-twice));
      const value = f32(to.alpha * lost);
      return {
        sample: f32(f32(to.sigma / from.sigma) * exp32(-h)),
        value,
        slope: midpoint ? f32(0.5 * value) : f32(to.alpha * f32(f32(lost / -twice) + 1)),
        curvature: f32(to.alpha * f32(f32(f32(lost - twice) / f32(twice * twice)) - 0.5)),
        noise: f32(to.sigma * sqrt32(lost)),
      };
    }
    case "sde-dpmsolver": {
      const growth = f32(exp32(h) - 1);
      const value = f32(to.sigma * growth);
      return {
        sample: f32(to.alpha / from.alpha),
        value: -f32(2 * value),
        slope: midpoint ? -value : -f32(2 * f32(to.sigma * f32(f32(growth / h) - 1))),
        curvature: 0,
        noise: f32(to.sigma * sqrt32(f32(exp32(f32(2 * h)) - 1))),
      };
    }
  }
}
