// This module is browser compatible.

/**
 * One update of UniPC: the predictor UniP, or the corrector UniC once the prediction at the end of the step
 * is known.
 *
 * Sources: Zhao et al. 2023, "UniPC", equations 3 and 8; diffusers `multistep_uni_p_bh_update` and
 * `multistep_uni_c_bh_update`.
 *
 * @module
 */

import { differenceQuotient, linearCombination, scaledDifference } from "./elementwise.ts";
import { expm132, f32 } from "./float32.ts";
import { solveLinear } from "./linear_system.ts";
import type { SignalLevel } from "./signal_level.ts";

/** The inputs of an update. */
export interface UniPCStep {
  /** Whether predictions are of the clean sample; otherwise they are of the noise. */
  readonly predictsClean: boolean;
  /** B(h) = h (`bh1`) or e^h - 1 (`bh2`). */
  readonly solverType: "bh1" | "bh2";
  /** The level that the step leads to. */
  readonly to: SignalLevel;
  /** The level that the step starts from, then those of earlier steps; as many as the order. */
  readonly levels: readonly SignalLevel[];
  /** The predictions at these levels. */
  readonly predictions: readonly Float32Array[];
  /** The sample at the start. */
  readonly sample: Float32Array;
  /** The prediction at the level `to`; it corrects the step. */
  readonly correction?: Float32Array;
}

/** Returns the sample at the level `to`. */
export function uniPCUpdate(step: UniPCStep): Float32Array {
  const { predictsClean, to, levels, predictions, sample, correction, solverType } = step;
  const from = levels[0]!;
  const m0 = predictions[0]!;
  const h = f32(to.lambda - from.lambda);
  const hh = predictsClean ? -h : h;
  const growth = expm132(hh);
  const weight = predictsClean ? to.alpha : to.sigma;
  const ratio = predictsClean ? f32(to.sigma / from.sigma) : f32(to.alpha / from.alpha);
  const base = linearCombination([ratio, -f32(weight * growth)], [sample, m0]);

  const distances = levels.slice(1).map((level) => f32(f32(level.lambda - from.lambda) / h));
  const slopes = distances.map((distance, age) => differenceQuotient(predictions[age + 1]!, m0, distance));
  if (correction) slopes.push(scaledDifference(1, correction, m0));
  if (slopes.length === 0) return base;
  const scale = solverType === "bh1" ? hh : growth;
  const rhos = slopeWeights(distances, hh, scale, Boolean(correction));
  return linearCombination([1, -f32(weight * scale)], [base, linearCombination(rhos, slopes)]);
}

/** Returns the weights of slopes that make the step exact for polynomials in lambda. */
function slopeWeights(distances: readonly number[], hh: number, scale: number, corrects: boolean): number[] {
  const nodes = corrects ? [...distances, 1] : distances;
  if (nodes.length === 1) return [0.5];
  const matrix: number[][] = [];
  const right: number[] = [];
  let powers = nodes.map(() => 1);
  let factorial = 1;
  let phi = f32(f32(expm132(hh) / hh) - 1);
  for (let row = 1; row <= nodes.length; row++) {
    matrix.push(powers);
    right.push(f32(f32(phi * factorial) / scale));
    powers = powers.map((power, column) => f32(power * nodes[column]!));
    factorial *= row + 1;
    phi = f32(f32(phi / hh) - f32(1 / factorial));
  }
  return solveLinear(matrix, right);
}
