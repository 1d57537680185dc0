// This module is browser compatible.

/**
 * Converts a model's prediction to the clean sample, or to the noise in the sample. Every function returns a
 * new array.
 *
 * Sources: Salimans and Ho 2022 (v-prediction); diffusers `convert_model_output` and the first part of every
 * `step`.
 *
 * @module
 */

import { f32, sqrt32 } from "./float32.ts";

const { fround } = Math;

/**
 * The quantity that the model predicts: the noise, the clean sample, the velocity between them, or a flow's
 * velocity.
 */
export type PredictionType = "epsilon" | "sample" | "v_prediction" | "flow_prediction";

/**
 * Returns the clean sample in `sample = alpha * clean + sigma * noise`.
 *
 * @param type The type of the prediction.
 * @param output The model's prediction.
 * @param sample The sample that the model was called on.
 * @param level The weights `alpha` of the clean sample and `sigma` of the noise.
 */
export function predictClean(
  type: PredictionType,
  output: Float32Array,
  sample: Float32Array,
  { alpha, sigma }: { readonly alpha: number; readonly sigma: number },
): Float32Array {
  const clean = new Float32Array(sample.length);
  switch (type) {
    case "epsilon":
      for (let i = 0; i < clean.length; i++) {
        clean[i] = fround(sample[i]! - fround(sigma * output[i]!)) / alpha;
      }
      break;
    case "sample":
      clean.set(output);
      break;
    case "v_prediction":
      for (let i = 0; i < clean.length; i++) {
        clean[i] = fround(alpha * sample[i]!) - fround(sigma * output[i]!);
      }
      break;
    case "flow_prediction":
      for (let i = 0; i < clean.length; i++) clean[i] = sample[i]! - fround(sigma * output[i]!);
      break;
  }
  return clean;
}

/**
 * Returns the noise in `sample = alpha * clean + sigma * noise`; the parameters are those of `predictClean`.
 */
export function predictNoise(
  type: Exclude<PredictionType, "flow_prediction">,
  output: Float32Array,
  sample: Float32Array,
  { alpha, sigma }: { readonly alpha: number; readonly sigma: number },
): Float32Array {
  const noise = new Float32Array(sample.length);
  switch (type) {
    case "epsilon":
      noise.set(output);
      break;
    case "sample":
      for (let i = 0; i < noise.length; i++) {
        noise[i] = fround(sample[i]! - fround(alpha * output[i]!)) / sigma;
      }
      break;
    case "v_prediction":
      for (let i = 0; i < noise.length; i++) {
        noise[i] = fround(alpha * output[i]!) + fround(sigma * sample[i]!);
      }
      break;
  }
  return noise;
}

/**
 * Returns the clean sample in `sample = clean + sigma * noise`, the form used by solvers that scale the
 * model's input.
 *
 * @param type The type of the prediction.
 * @param output The model's prediction.
 * @param sample The sample before it was scaled.
 * @param sigma The weight of the noise.
 */
export function predictCleanUnscaled(
  type: Exclude<PredictionType, "flow_prediction">,
  output: Float32Array,
  sample: Float32Array,
  sigma: number,
): Float32Array {
  if (type !== "v_prediction") return predictClean(type, output, sample, { alpha: 1, sigma });
  const clean = new Float32Array(sample.length);
  const variance = f32(f32(sigma * sigma) + 1);
  const weight = f32(-sigma / sqrt32(variance));
  for (let i = 0; i < clean.length; i++) {
    clean[i] = fround(output[i]! * weight) + fround(sample[i]! / variance);
  }
  return clean;
}
