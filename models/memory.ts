// This module is browser compatible.

/**
 * The ways in which a stage can run, each with the memory that it is predicted to take.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../artifacts/artifact.ts";
import type { RuntimeTraits } from "../runtime/runtime.ts";
import type { Weights } from "./checkpoint/weights.ts";
import { type Precision, PRECISIONS } from "./precision.ts";
import { residencySchema } from "./segments.ts";
import type { Residency } from "./segments.ts";

/** The schema of {@linkcode MemoryChoice}. */
export const memoryChoiceSchema = z.strictObject({
  /** How long the weights are held. */
  residency: residencySchema,
  /** Parameters of the stage that belong to this way: `precision`, `tiling`, `tileSize`. */
  parameters: z.record(z.string(), z.json()),
  /** Bytes of all weights that the stage reads. */
  weightBytes: z.number(),
  /** Resident memory at its largest, in bytes. */
  peakBytes: z.number(),
  /** Memory of the GPU at its largest, in bytes, where the stage runs on one. */
  gpuPeakBytes: z.number().optional(),
  /** Bytes that the stage goes on holding when it has ended. */
  heldBytes: z.number(),
  /** Bytes of GPU memory that the stage goes on holding when it has ended, where it runs on a GPU. */
  heldGpuBytes: z.number().optional(),
  /** Branches of guidance that are predicted at once, where there are two. */
  halves: z.union([z.literal(1), z.literal(2)]).optional(),
  /** Whether the result differs from the one that was asked for by more than rounding. */
  isApproximate: z.boolean().optional(),
  /** Changes that would take less memory, for people. */
  advice: z.string(),
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
  readonly halves?: 1 | 2 | undefined;
  readonly isApproximate?: boolean | undefined;
  readonly advice: string;
}

/** Bounds of the choices. */
export interface MemoryRequest {
  /** The traits of the device that the stage runs on. */
  readonly traits: RuntimeTraits;
  /** How long weights are held, where that is fixed. */
  readonly residency?: Residency | undefined;
  /** The precision that was asked for. */
  readonly precision: Precision;
  /** The lowest precision that may be chosen; the one that was asked for by default. */
  readonly lowestPrecision?: Precision | undefined;
}

/** Deno and ONNX Runtime, no model open. */
export const PROCESS_BYTES = 130e6;
/** Bytes of a float32 value. */
export const FLOAT32_BYTES = 4;
/** Weights up to this are held while their stage runs, unless something else is asked for. */
const SMALL_BYTES = 256e6;

/** Bytes of a weight in each precision, the scales of blocks included; those of outputs are next to nothing. */
const PRECISION_BYTES: Readonly<Record<Exclude<Precision, "float32">, number>> = {
  float16: 2,
  "int8-blocks": 1 + 4 / 128,
  int8: 1,
  int4: 0.5 + 4 / 32,
};

/** A model of layers that run one after the other. */
export interface LayeredFacts {
  /** Bytes of all weights, as they are stored. */
  readonly weightBytes: number;
  /** Bytes of the largest layer. */
  readonly layerBytes: number;
  /** Share of the weights that can be quantized: the matrices of the layers. */
  readonly quantizable: number;
  /** Bytes of one weight as it is stored. */
  readonly storedBytes: number;
  /** Width of the activations between layers. */
  readonly width: number;
  /** Layers that have weights of their own. */
  readonly layers: number;
  /** Heads of attention. */
  readonly heads: number;
  /** Whether each layer runs once in a stage, as in a text encoder; a denoiser's run at every step. */
  readonly runsOnce: boolean;
}

/** Bytes of all weights of a component, as stored. */
export function weightBytes(weights: Weights, wanted: (name: string) => boolean = () => true): number {
  return weights.names.filter(wanted).reduce((sum, name) => sum + weights.locate(name).length, 0);
}

/**
 * Measures a model's layers by the headers of its weights.
 *
 * @param weights The weights.
 * @param layer Matches the name of a layer's weight; its first group is the layer's number.
 */
export function layeredFacts(
  weights: Weights,
  layer: RegExp,
): Omit<LayeredFacts, "width" | "heads" | "runsOnce"> {
  const layers = new Map<string, number>();
  let quantizable = 0;
  let elements = 0;
  for (const name of weights.names) {
    const { length, shape } = weights.locate(name);
    elements += shape.reduce((product, size) => product * size, 1);
    const index = layer.exec(name)?.[1];
    if (index === undefined) continue;
    layers.set(index, (layers.get(index) ?? 0) + length);
    if (shape.length === 2 && name.endsWith(".weight")) quantizable += length;
  }
  const bytes = weightBytes(weights);
  return {
    weightBytes: bytes,
    layerBytes: Math.max(0, ...layers.values()),
    quantizable: bytes === 0 ? 0 : quantizable / bytes,
    storedBytes: elements === 0 ? FLOAT32_BYTES : bytes / elements,
    layers: layers.size,
  };
}

/** Bytes of a model's weights, or of one layer's, in a precision. */
export function precisionBytes(
  bytes: number,
  facts: Pick<LayeredFacts, "quantizable" | "storedBytes">,
  precision: Precision,
): number {
  if (precision === "float32") return bytes;
  const smaller = PRECISION_BYTES[precision] / facts.storedBytes;
  return bytes * (1 - facts.quantizable + facts.quantizable * Math.min(1, smaller));
}

/**
 * How long weights of layers are held by default. Large ones are streamed where that takes no more time: from mapped
 * files in the process's own memory, and anywhere where each layer runs once. Others are held while the stage runs.
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
 * All ways to run a model of layers, the best first: the precision that was asked for and the usual residency.
 *
 * @param facts The model.
 * @param request Bounds of the choices.
 * @param describe Predicts one way.
 */
export function layeredChoices(
  facts: LayeredFacts,
  { traits, residency, precision, lowestPrecision }: MemoryRequest,
  describe: (
    residency: Residency,
    precision: Precision,
  ) => Pick<
    MemoryChoice,
    "peakBytes" | "heldBytes" | "gpuPeakBytes" | "heldGpuBytes" | "halves" | "advice"
  >,
): MemoryChoice[] {
  const usual = defaultResidency(traits, facts.weightBytes, facts.runsOnce);
  const residencies = residency ? [residency] : usual === "stream" ? [usual] : [usual, "stream" as const];
  const first = PRECISIONS.indexOf(precision);
  const last = Math.max(first, PRECISIONS.indexOf(lowestPrecision ?? precision));
  // float16 takes a device that has it, and blocks of int8 no less memory than int8, which is faster.
  const precisions = PRECISIONS.slice(first, last + 1).filter((one) =>
    one === precision || (one === "float16" ? traits.float16 : one !== "int8-blocks")
  );
  return precisions.flatMap((precision) =>
    residencies.map((residency) => ({
      residency,
      parameters: { precision },
      isApproximate: precision !== precisions[0],
      weightBytes: precisionBytes(facts.weightBytes, facts, precision),
      ...describe(residency, precision),
    }))
  );
}

/** The changes that would make a model of layers take less memory. */
export function lowerPrecisionAdvice(residency: Residency, precision: Precision): string {
  const hints = [
    ...(residency === "stream" ? [] : ['allow residency "stream"']),
    ...(precision === "int4" ? [] : [`allow precision "${precision.startsWith("int8") ? "int4" : "int8"}"`]),
  ];
  return hints.join(" or ") || "allow more memory";
}
