// This module is browser compatible.

/**
 * How weights are quantized: which ones, and into what.
 *
 * @module
 */

import type { RuntimeTraits } from "../../runtime/runtime.ts";
import { listArchitectures } from "../architectures.ts";
import { isQuantizedPrecision, type Precision, type QuantizedPrecision } from "../precision.ts";

interface AnyRecipe {
  /** Its name in file names and options. */
  readonly name: QuantizedPrecision;
  /** Changes whenever the same weights would be quantized otherwise, or products with them be computed otherwise. */
  readonly version: number;
}

/** Weights in blocks along a row, each with a scale: ONNX Runtime's `MatMulNBits`, which all devices have. */
export interface BlockRecipe extends AnyRecipe {
  readonly layout: "blocks";
  /** Bits of a weight. */
  readonly bits: 8 | 4;
  /** Weights of a row that share a scale. */
  readonly block: number;
}

/** Weights of 8 bits, those of an output with one scale, for products of integers: a processor's fastest. */
export interface ColumnRecipe extends AnyRecipe {
  readonly layout: "columns";
}

/** How matrices are quantized. */
export type QuantizationRecipe = BlockRecipe | ColumnRecipe;

/**
 * The recipes. Weights of int8 are 0.8 % off with a scale for each output and 0.5 % in blocks of 128, of int4 in blocks of
 * 32 6 %; smaller blocks of int8 gain nothing, as its error is small already.
 */
export const RECIPES: Readonly<Record<QuantizedPrecision, QuantizationRecipe>> = {
  int8: { name: "int8", version: 3, layout: "columns" },
  "int8-blocks": { name: "int8-blocks", version: 2, layout: "blocks", bits: 8, block: 128 },
  int4: { name: "int4", version: 2, layout: "blocks", bits: 4, block: 32 },
};

/**
 * The recipe of a precision on a device; none where weights are not quantized. A GPU has no product of integers here, so
 * that `int8` means blocks there.
 *
 * @param precision The precision.
 * @param traits The traits of the device.
 */
export function recipeOf(
  precision: Precision,
  { hostMemory }: Pick<RuntimeTraits, "hostMemory">,
): QuantizationRecipe | undefined {
  if (!isQuantizedPrecision(precision)) return undefined;
  return RECIPES[precision === "int8" && !hostMemory ? "int8-blocks" : precision];
}

/** Whether this program opens weights that were quantized by a recipe of a version, as their files tell. */
export function isCurrent(recipe: string, version: string | undefined): boolean {
  return Object.values(RECIPES).some((known) => known.name === recipe && String(known.version) === version);
}

/**
 * Whether a weight is quantized: a matrix that some architecture names. Norms, embeddings, biases, modulation, and the
 * first and last projections are not.
 */
export function isQuantized(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && listArchitectures().some((architecture) => architecture.isQuantizable?.(name));
}

/** Name of a quantized weight's values. */
export function packedName(name: string): string {
  return `${name}.packed`;
}

/** Name of a quantized weight's scales. */
export function scalesName(name: string): string {
  return `${name}.scales`;
}

/**
 * Shapes of a quantized weight [rows, columns]: in blocks values [rows, blocks, bytes] and scales [rows, blocks], else
 * values [columns, rows], as products take them, and scales [rows].
 */
export function quantizedShapes(
  [rows = 0, columns = 0]: readonly number[],
  recipe: QuantizationRecipe,
): { readonly packed: readonly number[]; readonly scales: readonly number[] } {
  if (recipe.layout === "columns") return { packed: [columns, rows], scales: [rows] };
  const { bits, block } = recipe;
  const blocks = Math.ceil(columns / block);
  return { packed: [rows, blocks, block * bits / 8], scales: [rows, blocks] };
}
