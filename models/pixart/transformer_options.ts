// This module is browser compatible.

/**
 * Options for building the graphs of PixArt's transformer, and the names of their inputs and modules.
 *
 * @module
 */

import type { ByteAttention } from "../../runtime/runtime.ts";
import type { ComputeType } from "../onnx/graph_builder.ts";
import type { SegmentOptions } from "../segments.ts";

/** Options for building the graphs. */
export interface PixArtOptions extends SegmentOptions {
  /**
   * Number of guidance branches predicted at once. With two, the rows of all tokens occur twice, and
   * {@linkcode secondName} names the text of the second branch.
   *
   * @default {1}
   */
  readonly guidanceBranches?: 1 | 2 | undefined;
  /**
   * Whether the texts are short enough for cross-attention with absorbed projections, which is then cheaper.
   * The result is the same up to rounding. Weights quantized in blocks cannot be absorbed.
   *
   * @default {false}
   */
  readonly shortText?: boolean | undefined;
  /**
   * Type of the blocks' weights in memory, if linear layers transpose theirs or the blocks compute in this
   * type.
   *
   * @default {"float32"}
   */
  readonly weightType?: ComputeType | undefined;
  /**
   * Whether each prediction projects the text to keys and values. A GPU projects faster than it can copy the
   * results from host memory; a CPU keeps them between steps.
   *
   * @default {false}
   */
  readonly projectsText?: boolean | undefined;
  /**
   * Whether linear layers transpose their weights before the product, for devices that are slow at products
   * with a transposed matrix.
   *
   * @default {false}
   */
  readonly transposesWeights?: boolean | undefined;
  /**
   * Whether the feed-forward layers process the rows in parts, one after the other. Their activations then stay
   * in a CPU's cache and take less memory. Graphs have an input {@linkcode ROW_PARTS}.
   *
   * @default {false}
   */
  readonly splitsRows?: boolean | undefined;
  /**
   * Whether the weights of the blocks are bytes that a CPU multiplies with bytes. Gates are then folded into
   * layers. Requires `splitsRows`.
   *
   * @default {false}
   */
  readonly multipliesBytes?: boolean | undefined;
  /**
   * The products of self-attention that are products of bytes, computed part by part, if `multipliesBytes`.
   * Unless it is `none`, graphs have an input {@linkcode SCORE_PARTS}.
   *
   * @default {"all"}
   */
  readonly byteAttention?: ByteAttention | undefined;
  /**
   * Names of the self-attentions that a prediction can perturb. If there are any, graphs have an input
   * {@linkcode PERTURBED}.
   *
   * @default {[]}
   */
  readonly perturbable?: readonly string[] | undefined;
  /**
   * Whether the text graph also outputs the projected text, from which a ControlNet computes its own keys and
   * values.
   *
   * @default {false}
   */
  readonly givesText?: boolean | undefined;
  /**
   * Number of leading blocks that are separate graphs, so that other graphs can run between them.
   *
   * @default {0}
   */
  readonly separateBlocks?: number | undefined;
  /**
   * Whether the first block and the part after the last block are separate segments. The first then also
   * outputs its residual, {@linkcode FIRST_RESIDUAL}.
   *
   * @default {false}
   */
  readonly cachesSteps?: boolean | undefined;
}

/** Name of the number of parts into which rows are split, int64 [1]. It divides the number of rows. */
export const ROW_PARTS = "row_parts";

/**
 * Name of the number of groups of heads, and of parts of their queries, whose scores are computed one after the
 * other, int64 [2]. They divide the number of heads and of rows. If both are 0, attention stays in float32.
 */
export const SCORE_PARTS = "score_parts";

/** Name of the first block's residual. */
export const FIRST_RESIDUAL = "first_residual";

/** Returns the name of the rows before a block, or after the last one. */
export function hiddenName(block: number): string {
  return `hidden.${block}`;
}

/** Module name of a ControlNet's blocks. */
export const CONTROL_BLOCKS = "controlnet_blocks";

/** Returns the module name of a ControlNet's copy of a transformer block. */
export function controlModule(block: number): string {
  return `${CONTROL_BLOCKS}.${block}.transformer_block`;
}

/** Name of the boolean input that enables perturbing self-attentions. */
export const PERTURBED = "perturbed";

/** Returns the module name of a block's self-attention. */
export function selfAttentionName(block: number): string {
  return `${blockModule(block)}.attn1`;
}

/** Name of the projected text, used if each prediction computes keys and values. */
export const TEXT = "text";
/** Name of the texts' token counts, used if one tensor contains the texts of both branches. */
export const TEXT_LENGTHS = "text_lengths";

/** Returns the module name of a block. */
export function blockModule(block: number): string {
  return `transformer_blocks.${block}`;
}

/** Returns the name of the keys of a block's cross-attention. */
export function keyName(module: string): string {
  return `${module}.key`;
}

/** Returns the name of the values of a block's cross-attention. */
export function valueName(module: string): string {
  return `${module}.value`;
}

/** Returns the name of the same input for the second guidance branch. */
export function secondName(name: string): string {
  return `${name}.second`;
}
