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
import { precisionBytes } from "./predict_memory.ts";

/** The driver's own, no model open. */
const CONTEXT_BYTES = 300e6;
/** Activations of a transformer's block for each token and channel, all in all, in float32. */
const DENOISE_UNITS = 28;
const FLOAT32_BYTES = 4;

/** Peak of a text encoder: weights as they are stored, and a layer of them cast to float32 to be used. */
export function predictGpuEncode(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const cast = facts.storedBytes < FLOAT32_BYTES ? facts.layerBytes * FLOAT32_BYTES / facts.storedBytes : 0;
  return CONTEXT_BYTES + precisionBytes(heldBytes(facts, residency), facts, precision) + cast;
}

/** Peak of a transformer that predicts one half of guidance at a time: weights are cast once, when they are opened. */
export function predictGpuDenoise(
  facts: LayeredFacts,
  tokens: number,
  residency: Residency,
  precision: Precision,
): number {
  const elements = heldBytes(facts, residency) / facts.storedBytes;
  const wide = { ...facts, storedBytes: FLOAT32_BYTES };
  const activations = DENOISE_UNITS * FLOAT32_BYTES * tokens * facts.width;
  return CONTEXT_BYTES + precisionBytes(FLOAT32_BYTES * elements, wide, precision) + activations;
}

function heldBytes({ layerBytes, weightBytes }: LayeredFacts, residency: Residency): number {
  return residency === "stream" ? layerBytes : weightBytes;
}
