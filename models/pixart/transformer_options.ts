// This module is browser compatible.

/**
 * How the graphs of PixArt's transformer are built, and the names of their inputs and modules.
 *
 * @module
 */

import type { ComputeType } from "../onnx/graph_builder.ts";
import type { SegmentOptions } from "../segments.ts";

/** How the graphs are built. */
export interface PixArtOptions extends SegmentOptions {
  /**
   * Halves of guidance that are predicted at once. With two of them, every row of a token is there twice, and the second
   * half's text is named by {@linkcode secondName}.
   *
   * @default {1}
   */
  readonly halves?: 1 | 2 | undefined;
  /**
   * Whether the texts are short, so that cross-attention is cheaper with its projections absorbed; the result is the same
   * but for rounding. Weights that are quantized in blocks cannot be absorbed.
   *
   * @default {false}
   */
  readonly shortText?: boolean | undefined;
  /**
   * What the sum that runs through the blocks is computed in, with attention, norms and modulation: a device whose own
   * sums are in float32 loses nothing but the rounding of each result.
   *
   * @default {"float32"}
   */
  readonly sumType?: ComputeType | undefined;
  /**
   * Whether each prediction projects the text to keys and values anew. A GPU does so in less time than it takes to bring
   * them from the memory of the process; a CPU holds them from step to step.
   *
   * @default {false}
   */
  readonly projectsText?: boolean | undefined;
  /**
   * Whether linear layers transpose their weights before the product, for devices whose product with a transposed matrix
   * is slow.
   *
   * @default {false}
   */
  readonly transposesWeights?: boolean | undefined;
  /**
   * Names of the self-attentions that a prediction may perturb. Where there are any, graphs have an input
   * {@linkcode PERTURBED}.
   *
   * @default {[]}
   */
  readonly perturbable?: readonly string[] | undefined;
  /**
   * Whether the projected text is given beside keys and values, for those of a ControlNet.
   *
   * @default {false}
   */
  readonly givesText?: boolean | undefined;
  /**
   * Blocks at the beginning that each have a graph of their own, so that others can come between them.
   *
   * @default {0}
   */
  readonly separateBlocks?: number | undefined;
  /**
   * Whether the first block and what follows the last one are segments of their own, and the first also gives what it adds,
   * {@linkcode FIRST_RESIDUAL}.
   *
   * @default {false}
   */
  readonly cachesSteps?: boolean | undefined;
}

/** Name of what the first block adds to its input. */
export const FIRST_RESIDUAL = "first_residual";

/** Name of the rows before a block, or behind the last one. */
export function hiddenName(block: number): string {
  return `hidden.${block}`;
}

/** Module of a ControlNet's blocks. */
export const CONTROL_BLOCKS = "controlnet_blocks";

/** Name of a ControlNet's copy of a transformer's block. */
export function controlModule(block: number): string {
  return `${CONTROL_BLOCKS}.${block}.transformer_block`;
}

/** Name of the boolean that says whether self-attentions are perturbed. */
export const PERTURBED = "perturbed";

/** Name of a block's self-attention. */
export function selfAttentionName(block: number): string {
  return `${blockModule(block)}.attn1`;
}

/** Name of the projected text, where each prediction computes keys and values. */
export const TEXT = "text";
/** Name of the number of tokens of each text that count, where the texts of both branches come as one tensor. */
export const TEXT_LENGTHS = "text_lengths";

/** Name of a block's module. */
export function blockModule(block: number): string {
  return `transformer_blocks.${block}`;
}

/** Name of the keys that a block's cross-attention sees. */
export function keyName(module: string): string {
  return `${module}.key`;
}

/** Name of the values that a block's cross-attention sees. */
export function valueName(module: string): string {
  return `${module}.value`;
}

/** Name of the second half's keys or values. */
export function secondName(name: string): string {
  return `${name}.second`;
}
