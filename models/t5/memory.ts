// This module is browser compatible.

/**
 * Memory of a T5 encoder. The constants are measured on Linux with ONNX Runtime on a CPU, and on an NVIDIA H100 with
 * WebGPU; see docs/memory.md and docs/devices.md.
 *
 * @module
 */

import type { RuntimeTraits } from "../../runtime/runtime.ts";
import {
  FLOAT32_BYTES,
  layeredChoices,
  type LayeredFacts,
  layeredFacts,
  lowerPrecisionAdvice,
  type MemoryChoice,
  type MemoryRequest,
  precisionBytes,
  PROCESS_BYTES,
} from "../memory.ts";
import { isQuantizedPrecision, type Precision } from "../precision.ts";
import type { Residency } from "../segments.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { T5EncoderConfig } from "./encoder_config.ts";

/** A layer's memory beside its weights, whatever the prompt. */
const ENCODE_BYTES = 75e6;
/** Activations of a layer for each token and channel. */
const ENCODE_UNITS = 17;
/** Scores of attention for each head and pair of tokens of a prompt: products, with their bias, as shares. */
const SCORE_UNITS = 3;
/** Share of a layer that quantized weights take once more while a graph lays them out. */
const PACKING_SHARE = 1 / 3;

/** Facts of a T5 encoder. */
export function t5Facts(config: T5EncoderConfig, weights: Weights): LayeredFacts {
  const { d_model: width, num_heads: heads } = config;
  return { ...layeredFacts(weights, /^encoder\.block\.(\d+)\./), width, heads, runsOnce: true };
}

/**
 * All ways to encode texts, the best first.
 *
 * @param facts The encoder.
 * @param tokens Tokens of each text; the texts go through each layer one after the other.
 * @param request Bounds of the choices.
 */
export function t5MemoryChoices(
  facts: LayeredFacts,
  tokens: readonly number[],
  request: MemoryRequest,
): MemoryChoice[] {
  // Values of T5 outgrow float16.
  const traits = { ...request.traits, float16: false } as const;
  return layeredChoices(facts, { ...request, traits }, (residency, precision) => ({
    peakBytes: predictPeak(facts, tokens, residency, precision),
    heldBytes: residency === "resident" ? heldBytes(facts, residency, precision) : 0,
    ...(request.traits.hostMemory ? {} : {
      gpuPeakBytes: predictGpuPeak(facts, request.traits, residency, precision),
      heldGpuBytes: residency === "resident" ? gpuWeightBytes(facts, residency, precision) : 0,
    }),
    advice: lowerPrecisionAdvice(residency, precision),
  }));
}

function predictPeak(
  facts: LayeredFacts,
  tokens: readonly number[],
  residency: Residency,
  precision: Precision,
): number {
  const longest = Math.max(0, ...tokens);
  const waiting = tokens.reduce((sum, count) => sum + count, 0) - longest;
  const activations = ENCODE_UNITS * longest * facts.width + SCORE_UNITS * facts.heads * longest ** 2;
  return PROCESS_BYTES + ENCODE_BYTES + FLOAT32_BYTES * (activations + waiting * facts.width) +
    heldBytes(facts, residency, precision);
}

/** Bytes of the weights that are held: the mapped file. */
function heldBytes(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const layer = precisionBytes(facts.layerBytes, facts, precision);
  const held = residency === "stream" ? layer : precisionBytes(facts.weightBytes, facts, precision);
  return isQuantizedPrecision(precision) ? held + PACKING_SHARE * layer : held;
}

/** Weights as they are stored, and a layer of them cast to float32 to be used. */
function predictGpuPeak(
  facts: LayeredFacts,
  { contextBytes = 0 }: RuntimeTraits,
  residency: Residency,
  precision: Precision,
): number {
  const cast = facts.storedBytes < FLOAT32_BYTES ? facts.layerBytes * FLOAT32_BYTES / facts.storedBytes : 0;
  return contextBytes + gpuWeightBytes(facts, residency, precision) + cast;
}

/** Bytes of the weights that a GPU holds, as they are stored. */
function gpuWeightBytes(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  return precisionBytes(residency === "stream" ? facts.layerBytes : facts.weightBytes, facts, precision);
}
