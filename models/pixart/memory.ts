// This module is browser compatible.

/**
 * Predicts the memory of a PixArt transformer. The constants were measured on Linux with ONNX Runtime on a
 * CPU, and on an NVIDIA H100 with WebGPU; see docs/memory.md and docs/devices.md.
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
  type MemoryChoice,
  type MemoryRequest,
  precisionBytes,
  PROCESS_BYTES,
  withSmallerPicture,
} from "../memory.ts";
import { isQuantizedPrecision, type Precision } from "../precision.ts";
import type { Residency } from "../segments.ts";
import { rowParts } from "./row_parts.ts";
import type { PixArtTransformerConfig } from "./transformer_config.ts";

/** Bytes of a block besides its weights, independent of the picture. */
const DENOISE_BYTES = 67e6;
/** Number of activation values of a block per token and channel, with its rows at once or in parts. */
const DENOISE_UNITS = { whole: 18.5, parts: 17 };
/**
 * Fraction of the weights that steps need. A block has 16 matrices of width × width; the two that compute the
 * keys and values of a text are released before the first step.
 */
const STEP_SHARE = 14 / 16;
/** Fraction of half-precision weights that is still mapped while float32 copies are made. */
const CAST_SHARE = 0.4;
/** Additional memory for packing quantized weights while a graph opens, as a fraction of a layer. */
const PACKING_SHARE = 1 / 3;
/**
 * Memory of weights in `int8` on a CPU relative to their bytes: those of the file, a copy that is laid out for
 * integer products, and 2 of 14 matrices as float32, which cross-attention absorbs.
 */
const INTEGER_COPIES = 2 + FLOAT32_BYTES * 2 / 14;
/** Additional bytes of a block in `int8` on a CPU, independent of the picture. */
const INTEGER_BYTES = 65e6;
/** Number of activation values of a block in `int8` on a CPU. */
const INTEGER_UNITS = { whole: 21.5, parts: 12 };
/** Memory of a released block that is kept for the next one, relative to its weights in float32. */
const KEPT_SHARE = 1.1;

/** Number of activation values of a block on a GPU per token and channel. */
const GPU_UNITS = 30;
/** The same if blocks compute in float16, in float32 units. */
const GPU_HALF_UNITS = 21;
/**
 * GPU memory of float16 matrices relative to their weights. Part of them is stored twice, or cast to float32 in
 * each run.
 */
const GPU_HALF_HELD = { blocks: 1.24, weights: 1.4 } as const;

/**
 * Number of row sets that a step cache keeps per branch: two residuals, or a new residual and its rows, and
 * those that wait for the garbage collector.
 */
const CACHED_ROWS = 5;

/** Token counts that determine a transformer's memory. */
export interface TransformerTokens {
  /** Number of tokens of the picture, one per patch. */
  readonly picture: number;
  /** Total number of tokens of the texts of both guidance branches. */
  readonly text: number;
  /** Number of guidance branches whose residuals are cached between calls; none by default. */
  readonly cachedBranches?: number | undefined;
}

/** Returns the facts of a PixArt transformer from its configuration and the headers of its weights. */
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
 * Returns the number of guidance branches to predict at once: both if that saves time, as measured in
 * docs/devices.md. Otherwise the branches run in turn, which needs the activations of only one.
 *
 * @param traits The traits of the device.
 * @param guided Whether guidance has two branches.
 * @param tokens Number of tokens of the picture.
 */
export function branchesAtOnce({ fillingTokens = 0 }: RuntimeTraits, guided: boolean, tokens: number): 1 | 2 {
  return guided && tokens <= fillingTokens ? 2 : 1;
}

/**
 * Returns all ways to denoise, best first.
 *
 * @param facts The transformer.
 * @param tokens Token counts of the picture and the texts.
 * @param guided Whether guidance has two branches.
 * @param request Constraints on the choices.
 */
export function transformerMemoryChoices(
  facts: LayeredFacts,
  tokens: TransformerTokens,
  guided: boolean,
  request: MemoryRequest,
): MemoryChoice[] {
  const { traits } = request;
  const choicesFor = (tokens: TransformerTokens): MemoryChoice[] => {
    const guidanceBranches = branchesAtOnce(traits, guided, tokens.picture);
    return layeredChoices(facts, request, (residency, precision) => ({
      peakBytes: predictPeak(facts, traits, tokens, residency, precision),
      heldBytes: residency === "resident" ? heldBytes(facts, residency, precision) : 0,
      ...(traits.hostMemory ? {} : {
        gpuPeakBytes: predictGpuPeak(facts, traits, guidanceBranches * tokens.picture, residency, precision),
        heldGpuBytes: residency === "resident" ? gpuWeightBytes(facts, traits, residency, precision) : 0,
      }),
      guidanceBranches: guided ? guidanceBranches : undefined,
    }));
  };
  const smaller = { ...tokens, picture: Math.ceil(tokens.picture / 4) };
  return withSmallerPicture(choicesFor(tokens), choicesFor(smaller));
}

/**
 * Predicts the peak memory of one guidance branch at a time, with the keys and values of all texts in memory.
 */
function predictPeak(
  facts: LayeredFacts,
  // A planner that does not know the machine must not assume that it processes rows in parts.
  { hostMemory, transposesWeights = false, threads = Infinity }: RuntimeTraits,
  tokens: TransformerTokens,
  residency: Residency,
  precision: Precision,
): number {
  const hasIntegers = hostMemory && precision === "int8";
  const parts = rowParts(tokens.picture, threads, hasIntegers ? "bytes" : "floats");
  const way = hostMemory && parts > 1 ? "parts" : "whole";
  const units = (hasIntegers ? INTEGER_UNITS : DENOISE_UNITS)[way];
  const fixed = DENOISE_BYTES + (hasIntegers ? INTEGER_BYTES : 0);
  const activations = units * tokens.picture * facts.width;
  const keysAndValues = 2 * facts.layers * tokens.text * facts.width;
  const cached = CACHED_ROWS * (tokens.cachedBranches ?? 0) * tokens.picture * facts.width;
  const held = (hasIntegers ? INTEGER_COPIES : 1) * heldBytes(facts, residency, precision);
  const elements = facts.layerBytes / facts.storedBytes;
  const keeps = hostMemory && residency === "stream" && precision === "float32";
  const kept = keeps ? KEPT_SHARE * STEP_SHARE * FLOAT32_BYTES * elements : 0;
  const isCast = precision === "float32" && facts.storedBytes < FLOAT32_BYTES;
  const mapped = isCast ? CAST_SHARE * facts.storedBytes / FLOAT32_BYTES * held : 0;
  // Graphs are opened before activations exist, so the two do not add up.
  const most = Math.max(mapped, FLOAT32_BYTES * (activations + keysAndValues + cached));
  const transposed = transposesWeights && !isQuantizedPrecision(precision) ? held : 0;
  return PROCESS_BYTES + fixed + held + kept + transposed + most;
}

/**
 * Returns the bytes of the weights in memory: the float32 copies made when a graph opens, not the mapped
 * file.
 */
function heldBytes(facts: LayeredFacts, residency: Residency, precision: Precision): number {
  const share = precision === "float32" ? FLOAT32_BYTES / facts.storedBytes : 1;
  const layer = precisionBytes(facts.layerBytes, facts, precision, FLOAT32_BYTES);
  const held = residency === "stream"
    ? layer
    : precisionBytes(facts.weightBytes, facts, precision, FLOAT32_BYTES);
  const packed = isQuantizedPrecision(precision) ? held + PACKING_SHARE * layer : held;
  return share * STEP_SHARE * packed;
}

function predictGpuPeak(
  facts: LayeredFacts,
  traits: RuntimeTraits,
  tokens: number,
  residency: Residency,
  precision: Precision,
): number {
  const { contextBytes = 0, float16 } = traits;
  const units = precision === "float16" && float16 === "blocks" ? GPU_HALF_UNITS : GPU_UNITS;
  const activations = units * FLOAT32_BYTES * tokens * facts.width;
  return contextBytes + gpuWeightBytes(facts, traits, residency, precision) + activations;
}

/** Returns the bytes of the weights in GPU memory. */
function gpuWeightBytes(
  facts: LayeredFacts,
  { float16 }: RuntimeTraits,
  residency: Residency,
  precision: Precision,
): number {
  const stored = residency === "stream" ? facts.layerBytes : facts.weightBytes;
  const elements = stored / facts.storedBytes;
  const cast = { ...facts, storedBytes: FLOAT32_BYTES };
  const bytes = precisionBytes(FLOAT32_BYTES * elements, cast, precision, FLOAT32_BYTES);
  return (precision === "float16" && float16 ? GPU_HALF_HELD[float16] : 1) * STEP_SHARE * bytes;
}
