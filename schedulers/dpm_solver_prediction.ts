// This module is browser compatible.

/**
 * What DPM-Solver extrapolates: the clean sample for the `++` algorithms, the noise for the others.
 *
 * Source: diffusers `convert_model_output` of `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { type DpmAlgorithm, predictsClean } from "./dpm_solver_update.ts";
import { predictClean, type PredictionType, predictNoise } from "./prediction.ts";
import type { SignalLevel } from "./signal_level.ts";
import { type BoundsConfig, keepWithinBounds } from "./thresholding.ts";

/** What is needed to convert a prediction. */
export interface PredictionConfig extends BoundsConfig {
  /** Which solver. */
  readonly algorithm_type: DpmAlgorithm;
  /** What the model predicts. */
  readonly prediction_type: PredictionType;
}

/**
 * Converts what the model predicts into what the solver extrapolates.
 *
 * @param config Which solver, and what the model predicts.
 * @param output What it predicted.
 * @param sample The sample it saw.
 * @param level The noise level of the sample.
 * @param flowSigma The share of noise, for a model that predicts a flow.
 * @returns A new array.
 */
export function convertPrediction(
  config: PredictionConfig,
  output: Float32Array,
  sample: Float32Array,
  level: SignalLevel,
  flowSigma: number,
): Float32Array {
  const { prediction_type: type, algorithm_type: algorithm } = config;
  if (type === "flow_prediction") {
    return keepWithinBounds(predictClean(type, output, sample, { alpha: 1, sigma: flowSigma }), config);
  }
  if (predictsClean(algorithm)) return keepWithinBounds(predictClean(type, output, sample, level), config);
  const noise = predictNoise(type, output, sample, level);
  if (!config.thresholding) return noise;
  const clean = keepWithinBounds(predictClean("epsilon", noise, sample, level), config);
  return predictNoise("sample", clean, sample, level);
}
