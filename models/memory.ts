// This module is browser compatible.

/**
 * The ways in which a stage can run, each with its predicted memory.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../artifacts/artifact.ts";
import type { RuntimeTraits } from "../runtime/runtime.ts";
import type { Weights } from "./checkpoint/weights.ts";
import { LOW_RANK, type Precision, PRECISIONS } from "./precision.ts";
import { residencySchema } from "./segments.ts";
import type { Residency } from "./segments.ts";

/** The schema of {@linkcode MemoryChoice}. */
export const memoryChoiceSchema = z.strictObject({
  /** Residency of the weights. */
  residency: residencySchema,
  /** Parameters of the stage that this choice sets: `precision`, `tiling`, `tileSize`. */
  parameters: z.record(z.string(), z.json()),
  /** Size in bytes of all weights that the stage reads. */
  weightBytes: z.number(),
  /** Peak resident memory in bytes. */
  peakBytes: z.number(),
  /** Peak GPU memory in bytes, if the stage runs on a GPU. */
  gpuPeakBytes: z.number().optional(),
  /** Bytes that the stage keeps after it ends. */
  heldBytes: z.number(),
  /** Bytes of GPU memory that the stage keeps after it ends, if it runs on a GPU. */
  heldGpuBytes: z.number().optional(),
  /** Number of guidance branches predicted at once, if there are two. */
  guidanceBranches: z.union([z.literal(1), z.literal(2)]).optional(),
  /** Whether the result differs from the requested one by more than rounding. */
  isApproximate: z.boolean().optional(),
  /** What the user has not allowed but this choice needs, as advice; absent if the stage can run so. */
  unlessAllowed: z.string().optional(),
  /** Changes that would reduce memory, as text for the user, instead of the memory that would be enough. */
  advice: z.string().optional(),
});

/** One way to run a stage. */
export interface MemoryChoice {
  readonly residency: Residency;
  readonly parameters: JsonObject;
  readonly weightBytes: number;
  readonly peakBytes: number;
  readonly gpuPeakBytes?: number | undefined;
  readonly heldBytes: number;
  readonly heldGpuBytes?: number | undefined;
  readonly guidanceBranches?: 1 | 2 | undefined;
  readonly isApproximate?: boolean | undefined;
  readonly unlessAllowed?: string | undefined;
  readonly advice?: string | undefined;
}

/** Constraints on the choices. */
export interface MemoryRequest {
  /** Traits of the device on which the stage runs. */
  readonly traits: RuntimeTraits;
  /** Residency of the weights, if fixed. */
  readonly residency?: Residency | undefined;
  /** The requested precision. */
  readonly precision: Precision;
  /** The lowest precision that the planner may choose; the requested one by default. */
  readonly lowestPrecision?: Precision | undefined;
}

/** The advice on a choice that needs a quarter of the pixels. */
export const SMALLER_PICTURE = "make a smaller picture";
/** Bytes of a process with Deno and ONNX Runtime but no open model. */
export const PROCESS_BYTES = 145e6;
/** Bytes per float32 value. */
export const FLOAT32_BYTES = 4;
/** Weights of up to this many bytes have residency `stage` by default. */
const SMALL_BYTES = 256e6;

/** Bytes per float16 value. */
const FLOAT16_BYTES = 2;

/**
 * Bytes per weight in each precision, including the scales of blocks. The scales of outputs are negligible.
 * Low-rank branches come in addition.
 */
const PRECISION_BYTES: Readonly<Record<Exclude<Precision, "float32">, number>> = {
  float16: 2,
  "int8-blocks": 1 + 4 / 128,
  int8: 1,
  "int4-lowrank": 0.5 + 4 / 32,
  int4: 0.5 + 4 / 32,
};

/** Facts about a model whose layers run in sequence. */
export interface LayeredFacts {
  /** Bytes of all weights as stored. */
  readonly weightBytes: number;
  /** Bytes of the largest layer. */
  readonly layerBytes: number;
  /** Fraction of the weights that can be quantized: the matrices of the layers. */
  readonly quantizable: number;
  /** Bytes per weight as stored. */
  readonly storedBytes: number;
  /** Rows and columns of the matrices that can be quantized, per weight: the values of a branch of rank 1. */
  readonly branchValues: number;
  /** Width of the activations between layers. */
  readonly width: number;
  /** Number of layers that have weights. */
  readonly layers: number;
  /** Number of attention heads. */
  readonly heads: number;
  /**
   * Whether each layer runs once in a stage, as in a text encoder. A denoiser runs its layers at every step.
   */
  readonly runsOnce: boolean;
}

/**
 * Returns the stored size in bytes of a component's weights, optionally only of those that `wanted` selects.
 */
export function weightBytes(weights: Weights, wanted: (name: string) => boolean = () => true): number {
  return weights.names.filter(wanted).reduce((sum, name) => sum + weights.locate(name).length, 0);
}

/**
 * Measures a model's layers from the headers of its weights.
 *
 * @param weights The weights.
 * @param layer Matches the names of the layers' weights. The first group is the layer's number.
 */
export function layeredFacts(
  weights: Weights,
  layer: RegExp,
): Omit<LayeredFacts, "width" | "heads" | "runsOnce"> {
  const layers = new Map<string, number>();
  let quantizable = 0;
  let quantizableElements = 0;
  let branchValues = 0;
  let elements = 0;
  for (const name of weights.names) {
    const { length, shape } = weights.locate(name);
    const count = shape.reduce((product, size) => product * size, 1);
    elements += count;
    const index = layer.exec(name)?.[1];
    if (index === undefined) continue;
    layers.set(index, (layers.get(index) ?? 0) + length);
    if (shape.length !== 2 || !name.endsWith(".weight")) continue;
    quantizable += length;
    quantizableElements += count;
    branchValues += shape[0]! + shape[1]!;
  }
  const bytes = weightBytes(weights);
  return {
    weightBytes: bytes,
    layerBytes: Math.max(0, ...layers.values()),
    quantizable: bytes === 0 ? 0 : quantizable / bytes,
    storedBytes: elements === 0 ? FLOAT32_BYTES : bytes / elements,
    branchValues: quantizableElements === 0 ? 0 : branchValues / quantizableElements,
    layers: layers.size,
  };
}

/**
 * Converts the stored size of a model's weights, or of one layer's, to the size in a precision.
 *
 * @param bytes The stored size.
 * @param facts The model.
 * @param precision The precision.
 * @param branchBytes Bytes per value of low-rank branches, which graphs convert to float32.
 */
export function precisionBytes(
  bytes: number,
  facts: Pick<LayeredFacts, "quantizable" | "storedBytes" | "branchValues">,
  precision: Precision,
  branchBytes: number = FLOAT16_BYTES,
): number {
  if (precision === "float32") return bytes;
  const branches = precision === "int4-lowrank" ? LOW_RANK * branchBytes * facts.branchValues : 0;
  const smaller = (PRECISION_BYTES[precision] + branches) / facts.storedBytes;
  return bytes * (1 - facts.quantizable + facts.quantizable * Math.min(1, smaller));
}

/**
 * Returns the default residency of the weights of layers. Large weights stream if streaming takes little more
 * time: from memory-mapped files in host memory, and on any device if each layer runs once. All others stay in
 * memory while the stage runs.
 *
 * @param traits The traits of the device.
 * @param bytes Bytes of the weights.
 * @param runsOnce Whether each layer runs once in a stage.
 */
export function defaultResidency(
  { hostMemory }: RuntimeTraits,
  bytes: number,
  runsOnce: boolean = false,
): Residency {
  return (hostMemory || runsOnce) && bytes > SMALL_BYTES ? "stream" : "stage";
}

/**
 * Returns all ways to run a model of layers, best first. The first has the requested precision and the
 * default residency. Ways that the request excludes come last, for advice.
 *
 * @param facts The model.
 * @param request Constraints on the choices.
 * @param describe Predicts the memory of one choice.
 */
export function layeredChoices(
  facts: LayeredFacts,
  { traits, residency, precision, lowestPrecision }: MemoryRequest,
  describe: (
    residency: Residency,
    precision: Precision,
  ) => Pick<
    MemoryChoice,
    "peakBytes" | "heldBytes" | "gpuPeakBytes" | "heldGpuBytes" | "guidanceBranches"
  >,
): MemoryChoice[] {
  const usual = defaultResidency(traits, facts.weightBytes, facts.runsOnce);
  const residencies = residency ? [residency] : usual === "stream" ? [usual] : [usual, "stream" as const];
  const first = PRECISIONS.indexOf(precision);
  const last = Math.max(first, PRECISIONS.indexOf(lowestPrecision ?? precision));
  // float16 requires a device that supports it. int8-blocks needs as much memory as int8, which is faster.
  const supported = PRECISIONS.slice(first).filter((one) =>
    one === precision || (one === "float16" ? traits.float16 : one !== "int8-blocks")
  );
  const isAllowed = (precision: Precision): boolean => PRECISIONS.indexOf(precision) <= last;
  const ways = (precision: Precision, residencies: readonly Residency[]): MemoryChoice[] =>
    residencies.map((residency) => ({
      residency,
      parameters: { precision },
      isApproximate: precision !== supported[0],
      weightBytes: precisionBytes(facts.weightBytes, facts, precision),
      ...describe(residency, precision),
    }));
  const streams = residencies.includes("stream");
  return [
    ...supported.filter(isAllowed).flatMap((precision) => ways(precision, residencies)),
    ...supported.flatMap((precision) => {
      const lower = isAllowed(precision) ? [] : [`precision "${precision}"`];
      return [
        ...(lower.length === 0 ? [] : ways(precision, residencies).map((way) => forbid(way, lower))),
        ...(streams
          ? []
          : ways(precision, ["stream"]).map((way) => forbid(way, ['residency "stream"', ...lower]))),
      ];
    }),
  ];
}

/** Marks a choice as one that the user would have to allow. */
function forbid(choice: MemoryChoice, excluded: readonly string[]): MemoryChoice {
  return { ...choice, unlessAllowed: `allow ${excluded.join(" and ")}` };
}

/** Adds, as advice, what each allowed choice would need for a smaller picture. */
export function withSmallerPicture(
  choices: readonly MemoryChoice[],
  smaller: readonly MemoryChoice[],
): MemoryChoice[] {
  const advised = smaller.filter(({ unlessAllowed }) => unlessAllowed === undefined)
    .map((choice) => ({ ...choice, isApproximate: true, unlessAllowed: SMALLER_PICTURE }));
  return [...choices, ...advised];
}
