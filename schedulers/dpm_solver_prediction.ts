// This module is browser compatible.

/**
 * The quantity that DPM-Solver extrapolates: the clean sample for the `++` algorithms, the noise for the
 * others.
 *
 * Source: diffusers `convert_model_output` of `schedulers/scheduling_dpmsolver_multistep.py`.
 *
 * @module
 */

import { type DpmAlgorithm, predictsClean } from "./dpm_solver_update.ts";
import { predictClean, type PredictionType, predictNoise } from "./prediction.ts";
import type { SignalLevel } from "./signal_level.ts";
import { type BoundsConfig, keepWithinBounds } from "./thresholding.ts";

/** The options that determine how a prediction is converted. */
export interface PredictionConfig extends BoundsConfig {
  /** The solver's algorithm. */
  readonly algorithm_type: DpmAlgorithm;
  /** The type of the model's prediction. */
  readonly prediction_type: PredictionType;
}

/**
 * Converts the model's prediction into the quantity that the solver extrapolates.
 *
 * @param config The algorithm of the solver and the type of the prediction.
 * @param output The model's prediction.
 * @param sample The sample that the model was called on.
 * @param level The noise level of the sample.
 * @param flowSigma The share of noise in the sample, for a model that predicts a flow.
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
