// This module is browser compatible.

/**
 * Quantization recipes, and the choice of the weights to quantize.
 *
 * @module
 */

import type { RuntimeTraits } from "../../runtime/runtime.ts";
import { listArchitectures } from "../architectures.ts";
import { isQuantizedPrecision, LOW_RANK, type Precision, type RecipeName } from "../precision.ts";

interface AnyRecipe {
  /** Name in file names. */
  readonly name: RecipeName;
  /**
   * Version number. Increase it whenever the same weights are quantized differently or products with them are
   * computed differently.
   */
  readonly version: number;
}

/**
 * Weights in blocks along a row, one scale per block, for ONNX Runtime's `MatMulNBits`, which all devices
 * support.
 */
export interface BlockRecipe extends AnyRecipe {
  readonly layout: "blocks";
  /** Bits per weight. */
  readonly bits: 8 | 4;
  /** Number of consecutive weights of a row that share a scale. */
  readonly block: number;
  /** Bits per activation on a CPU. */
  readonly activationBits: 8 | 16;
  /**
   * Largest rank of a float16 branch beside the blocks, which contain only what it leaves; without it, there
   * is no branch.
   */
  readonly rank?: number;
}

/** 8-bit weights with one scale per output, for integer products, the fastest on a CPU. */
export interface ColumnRecipe extends AnyRecipe {
  readonly layout: "columns";
}

/** The rule by which matrices are quantized. */
export type QuantizationRecipe = BlockRecipe | ColumnRecipe;

/**
 * The recipes. The relative error of int8 weights is 0.8 % with one scale per output and 0.5 % in blocks of
 * 128. That of trained int4 weights in blocks of 32 is 8 %, and 6 % beside a branch of rank 32. Smaller int8
 * blocks gain nothing because the error is already small. Rounding activations to 8 bits costs more than
 * rounding weights to 8 bits, and to 16 bits nothing.
 */
export const RECIPES: Readonly<Record<RecipeName, QuantizationRecipe>> = {
  int8: { name: "int8", version: 8, layout: "columns" },
  "int8-a16": { name: "int8-a16", version: 1, layout: "blocks", bits: 8, block: 128, activationBits: 16 },
  "int8-blocks": {
    name: "int8-blocks",
    version: 2,
    layout: "blocks",
    bits: 8,
    block: 128,
    activationBits: 8,
  },
  "int4-lowrank": {
    name: "int4-lowrank",
    version: 1,
    layout: "blocks",
    bits: 4,
    block: 32,
    activationBits: 8,
    rank: LOW_RANK,
  },
  int4: { name: "int4", version: 3, layout: "blocks", bits: 4, block: 32, activationBits: 8 },
};

/**
 * Returns the recipe of a precision on a device; undefined if the precision does not quantize weights. GPUs
 * have no integer products here, so `int8` means blocks there. A text encoder runs once per prompt, while the
 * error of its activations reaches every step, so they keep 16 bits.
 *
 * @param precision The precision.
 * @param traits The traits of the device.
 * @param runsOnce Whether each layer runs once in the stage, as in a text encoder.
 */
export function recipeOf(
  precision: Precision,
  { hostMemory }: Pick<RuntimeTraits, "hostMemory">,
  runsOnce: boolean = false,
): QuantizationRecipe | undefined {
  if (!isQuantizedPrecision(precision)) return undefined;
  if (precision !== "int8") return RECIPES[precision];
  return RECIPES[!hostMemory ? "int8-blocks" : runsOnce ? "int8-a16" : "int8"];
}

/** Returns whether this program can open weights with the recipe and version recorded in their file. */
export function isCurrent(recipe: string, version: string | undefined): boolean {
  return Object.values(RECIPES).some((known) => known.name === recipe && String(known.version) === version);
}

/**
 * Returns whether a weight is quantized, that is, whether it is a matrix that an architecture declares
 * quantizable. Norms, embeddings, biases, modulation, the caption projection and the last
 * projection are not quantized.
 */
export function isQuantized(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && listArchitectures().some((architecture) => architecture.isQuantizable?.(name));
}

/** Returns the tensor name of a quantized weight's values. */
export function packedName(name: string): string {
  return `${name}.packed`;
}

/** Returns the tensor name of a quantized weight's scales. */
export function scalesName(name: string): string {
  return `${name}.scales`;
}

/** Returns the tensor name of one of the two matrices of a quantized weight's branch. */
export function branchName(name: string, part: "up" | "down"): string {
  return `${name}.${part}`;
}

/** Returns the tensor names of all parts of a quantized weight. */
export function partNames(name: string): readonly string[] {
  return [packedName(name), scalesName(name), branchName(name, "up"), branchName(name, "down")];
}

/** Shapes of the parts of a quantized weight. */
export interface QuantizedShapes {
  /** Values: in blocks [rows, blocks, bytes], otherwise transposed, [columns, rows]. */
  readonly packed: readonly number[];
  /** Scales: in blocks [rows, blocks], otherwise [rows]. */
  readonly scales: readonly number[];
  /** The matrices of the branch, if there is one. */
  readonly branch?: {
    readonly rank: number;
    /** Matrix [rows, rank]. */
    readonly up: readonly number[];
    /** Matrix [rank, columns]. */
    readonly down: readonly number[];
  };
}

/** Returns the shapes of the parts of a quantized weight [rows, columns]. */
export function quantizedShapes(
  [rows = 0, columns = 0]: readonly number[],
  recipe: QuantizationRecipe,
): QuantizedShapes {
  if (recipe.layout === "columns") return { packed: [columns, rows], scales: [rows] };
  const { bits, block } = recipe;
  const blocks = Math.ceil(columns / block);
  const rank = recipe.rank && branchRank(rows, columns, recipe.rank);
  return {
    packed: [rows, blocks, block * bits / 8],
    scales: [rows, blocks],
    ...(rank ? { branch: { rank, up: [rows, rank], down: [rank, columns] } } : {}),
  };
}

/** Returns the rank of a branch: a multiple of 4, and for small matrices about an eighth of their rank. */
function branchRank(rows: number, columns: number, largest: number): number {
  return Math.max(4, Math.min(largest, 4 * Math.floor(Math.min(rows, columns) / 32)));
}
