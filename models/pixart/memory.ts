// This module is browser compatible.

/**
 * Memory of a PixArt transformer. The constants are measured on Linux with ONNX Runtime on a CPU, and on an NVIDIA H100
 * with WebGPU; see docs/memory.md and docs/devices.md.
 *
 * @module
 */

import type { RuntimeTraits } from "../../runtime/runtime.ts";
import type { Weights } from "../checkpoint/weights.ts";
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
import type { PixArtTransformerConfig } from "./transformer_config.ts";

/** A block's memory beside its weights, whatever the picture. */
const DENOISE_BYTES = 42e6;
/** Activations of a block for each token and channel, all in all. */
const DENOISE_UNITS = 18.5;
/**
 * Share of the weights that steps need: a block has 16 matrices of width × width, and those that make keys and values of a
 * text are released before the first step.
 */
const STEP_SHARE = 14 / 16;
/** Share of weights in half precision that is mapped still while their copies are made. */
const CAST_SHARE = 0.4;
/** Share of a layer that quantized weights take once more while a graph lays them out. */
const PACKING_SHARE = 1 / 3;

/** Activations of a block on a GPU for each token and channel, as float32 values. */
const GPU_UNITS = { float32: 30, float16: 21, "int8-blocks": 30, int8: 30, int4: 30 } as const;
/** Memory of matrices on a GPU as a share of their weights: those in float16 are held a second time in part. */
const GPU_HELD = { float32: 1, float16: 1.24, "int8-blocks": 1, int8: 1, int4: 1 } as const;

/** Rows that a step cache keeps of each branch: two residuals, and a new one with the rows that it belongs to. */
const CACHED_ROWS = 4;

/** Tokens that a transformer attends to. */
export interface TransformerTokens {
  /** Tokens of the picture: a patch each. */
  readonly picture: number;
  /** Tokens of the texts, those of both branches of guidance together. */
  readonly text: number;
  /** Branches of guidance whose residuals are kept from call to call; none by default. */
  readonly cachedBranches?: number | undefined;
}

/** Facts of a PixArt transformer. */
export function transformerFacts(config: PixArtTransformerConfig, weights: Weights): LayeredFacts {
  const { num_attention_heads: heads, attention_head_dim } = config;
  return {
    ...layeredFacts(weights, /^transformer_blocks\.(\d+)\./),
    width: heads * attention_head_dim,
    heads,
    runsOnce: false,
  };
}

/**
 * How many branches of guidance are predicted at once: both where that saves time, as measured in docs/devices.md; else
 * one after the other, which holds one branch's activations.
 *
 * @param traits The traits of the device.
 * @param guided Whether there are two branches.
 * @param tokens Tokens of the picture.
 */
export function guidanceHalves({ fillingTokens = 0 }: RuntimeTraits, guided: boolean, tokens: number): 1 | 2 {
  return guided && tokens <= fillingTokens ? 2 : 1;
}

/**
 * All ways to denoise, the best first.
 *
 * @param facts The transformer.
 * @param tokens Tokens of the picture and of the texts.
 * @param guided Whether there are two branches of guidance.
 * @param request Bounds of the choices.
 */
export function transformerMemoryChoices(
  facts: LayeredFacts,
  tokens: TransformerTokens,
  guided: boolean,
  request: MemoryRequest,
): MemoryChoice[] {
  const { traits } = request;
  const halves = guidanceHalves(traits, guided, tokens.picture);
  return layeredChoices(facts, request, (residency, precision) => ({
    peakBytes: predictPeak(facts, traits, tokens, residency, precision),
    heldBytes: residency === "resident" ? heldBytes(facts, residency, precision) : 0,
    ...(traits.hostMemory ? {} : {
      gpuPeakBytes: predictGpuPeak(facts, traits, halves * tokens.picture, residency, precision),
      heldGpuBytes: residency === "resident" ? gpuWeightBytes(facts, residency, precision) : 0,
    }),
    halves: guided ? halves : undefined,
    advice: `${lowerPrecisionAdvice(residency, precision)}, or make a smaller picture`,
  }));
}

/** Peak of predicting one branch of guidance at a time, with the keys and values of all texts at hand. */
function predictPeak(
  facts: LayeredFacts,
  { transposesWeights = false }: RuntimeTraits,
  tokens: TransformerTokens,
  residency: Residency,
  precision: Precision,
): number {
  const activations = DENOISE_UNITS * tokens.picture * facts.width;
  const keysAndValues = 2 * facts.layers * tokens.text * facts.width;
  const cached = CACHED_ROWS * (tokens.cachedBranches ?? 0) * tokens.picture * facts.width;
  const held = heldBytes(facts, residency, precision);
  const isCast = precision === "float32" && facts.storedBytes < FLOAT32_BYTES;
  const mapped = isCast ? CAST_SHARE * facts.storedBytes / FLOAT32_BYTES * held : 0;
  // Graphs open before there are activations.
  const most = Math.max(mapped, FLOAT32_BYTES * (activations + keysAndValues + cached));
  const transposed = transposesWeights && !isQuantizedPrecision(precision) ? held : 0;
  return PROCESS_BYTES + DENOISE_BYTES + held + transposed + most;
}

/** Bytes of the weights that are held: copies in float32, which are made when a graph opens, not the mapped file. */
function heldBytes(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const share = precision === "float32" ? FLOAT32_BYTES / facts.storedBytes : 1;
  const layer = precisionBytes(facts.layerBytes, facts, precision);
  const held = residency === "stream" ? layer : precisionBytes(facts.weightBytes, facts, precision);
  const packed = isQuantizedPrecision(precision) ? held + PACKING_SHARE * layer : held;
  return share * STEP_SHARE * packed;
}

function predictGpuPeak(
  facts: LayeredFacts,
  { contextBytes = 0 }: RuntimeTraits,
  tokens: number,
  residency: Residency,
  precision: Precision,
): number {
  const activations = GPU_UNITS[precision] * FLOAT32_BYTES * tokens * facts.width;
  return contextBytes + gpuWeightBytes(facts, residency, precision) + activations;
}

/** Bytes of the weights that a GPU holds. They are cast once, when they are opened. */
function gpuWeightBytes(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const stored = residency === "stream" ? facts.layerBytes : facts.weightBytes;
  const elements = stored / facts.storedBytes;
  const cast = { ...facts, storedBytes: FLOAT32_BYTES };
  return GPU_HELD[precision] * STEP_SHARE * precisionBytes(FLOAT32_BYTES * elements, cast, precision);
}
