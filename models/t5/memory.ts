// This module is browser compatible.

/**
 * Predicts the memory of a T5 encoder. The constants were measured on Linux with ONNX Runtime on a CPU, and
 * on an NVIDIA H100 with WebGPU; see docs/memory.md and docs/devices.md.
 *
 * @module
 */

import type { RuntimeTraits } from "../../runtime/runtime.ts";
import {
  FLOAT32_BYTES,
  layeredChoices,
  type LayeredFacts,
  layeredFacts,
  type MemoryChoice,
  type MemoryRequest,
  precisionBytes,
  PROCESS_BYTES,
} from "../memory.ts";
import { isQuantizedPrecision, type Precision } from "../precision.ts";
import type { Residency } from "../segments.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { T5EncoderConfig } from "./encoder_config.ts";

/** Bytes of a layer besides its weights, independent of the prompt. */
const ENCODE_BYTES = 75e6;
/** Number of activation values of a layer per token and channel. */
const ENCODE_UNITS = 17;
/**
 * Number of attention values per head and pair of tokens: products, products with bias, and softmax outputs.
 */
const SCORE_UNITS = 3;
/** Additional memory for packing quantized weights while a graph opens, as a fraction of a layer. */
const PACKING_SHARE = 1 / 3;

/** Returns the facts of a T5 encoder from its configuration and the headers of its weights. */
export function t5Facts(config: T5EncoderConfig, weights: Weights): LayeredFacts {
  const { d_model: width, num_heads: heads } = config;
  return { ...layeredFacts(weights, /^encoder\.block\.(\d+)\./), width, heads, runsOnce: true };
}

/**
 * Returns all ways to encode texts, best first.
 *
 * @param facts The encoder.
 * @param tokens Number of tokens of each text. Each layer processes the texts in turn.
 * @param request Constraints on the choices.
 */
export function t5MemoryChoices(
  facts: LayeredFacts,
  tokens: readonly number[],
  request: MemoryRequest,
): MemoryChoice[] {
  // Values of T5 overflow float16.
  const traits = { ...request.traits, float16: false } as const;
  return layeredChoices(facts, { ...request, traits }, (residency, precision) => ({
    peakBytes: predictPeak(facts, tokens, residency, precision),
    heldBytes: residency === "resident" ? heldBytes(facts, residency, precision) : 0,
    ...(request.traits.hostMemory ? {} : {
      gpuPeakBytes: predictGpuPeak(facts, request.traits, residency, precision),
      heldGpuBytes: residency === "resident" ? gpuWeightBytes(facts, residency, precision) : 0,
    }),
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

/** Returns the number of bytes of the mapped weights. */
function heldBytes(facts: LayeredFacts, residency: Residency, requested: Precision): number {
  const precision = requested === "int8" ? "int8-blocks" : requested;
  const layer = precisionBytes(facts.layerBytes, facts, precision, FLOAT32_BYTES);
  const held = residency === "stream"
    ? layer
    : precisionBytes(facts.weightBytes, facts, precision, FLOAT32_BYTES);
  return isQuantizedPrecision(precision) ? held + PACKING_SHARE * layer : held;
}

/** Predicts the peak GPU memory: the weights as stored, and one layer of them cast to float32. */
function predictGpuPeak(
  facts: LayeredFacts,
  { contextBytes = 0 }: RuntimeTraits,
  residency: Residency,
  precision: Precision,
): number {
  const cast = facts.storedBytes < FLOAT32_BYTES ? facts.layerBytes * FLOAT32_BYTES / facts.storedBytes : 0;
  return contextBytes + gpuWeightBytes(facts, residency, precision) + cast;
}

/** Returns the bytes of the stored weights in GPU memory. */
function gpuWeightBytes(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const bytes = residency === "stream" ? facts.layerBytes : facts.weightBytes;
  return precisionBytes(bytes, facts, precision, FLOAT32_BYTES);
}
