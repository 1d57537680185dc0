// This module is browser compatible.

/**
 * Predicts the peak of a GPU's memory in each stage. The constants are measured on an NVIDIA H100, WebGPU; see
 * docs/devices.md.
 *
 * @module
 */

import type { Residency } from "../models/segments.ts";
import type { LayeredFacts } from "./memory_facts.ts";
import type { Precision } from "./precision.ts";
import { precisionBytes, STEP_SHARE } from "./predict_memory.ts";

/** The driver's own, and what any small graph takes. */
const CONTEXT_BYTES = 40e6;
const FLOAT32_BYTES = 4;
/** Activations of a transformer's block for each token and channel, as float32 values. */
const DENOISE_UNITS = { float32: 30, float16: 21, int8: 30, int4: 30 } as const;
/** What matrices take, as a share of their weights: those in float16 are held a second time in part. */
const HELD = { float32: 1, float16: 1.24, int8: 1, int4: 1 } as const;

/** Peak of a text encoder: weights as they are stored, and a layer of them cast to float32 to be used. */
export function predictGpuEncode(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const cast = facts.storedBytes < FLOAT32_BYTES ? facts.layerBytes * FLOAT32_BYTES / facts.storedBytes : 0;
  return CONTEXT_BYTES + precisionBytes(storedBytes(facts, residency), facts, precision) + cast;
}

/**
 * Peak of a transformer: weights are cast once, when they are opened.
 *
 * @param facts The transformer.
 * @param tokens Tokens of the picture that are predicted at once, those of both halves where both are.
 * @param residency How long weights are held.
 * @param precision What the blocks compute in.
 */
export function predictGpuDenoise(
  facts: LayeredFacts,
  tokens: number,
  residency: Residency,
  precision: Precision,
): number {
  const elements = storedBytes(facts, residency) / facts.storedBytes;
  const cast = { ...facts, storedBytes: FLOAT32_BYTES };
  const weights = STEP_SHARE * precisionBytes(FLOAT32_BYTES * elements, cast, precision);
  const activations = DENOISE_UNITS[precision] * FLOAT32_BYTES * tokens * facts.width;
  return CONTEXT_BYTES + HELD[precision] * weights + activations;
}

function storedBytes({ layerBytes, weightBytes }: LayeredFacts, residency: Residency): number {
  return residency === "stream" ? layerBytes : weightBytes;
}
