// This module is browser compatible.

/**
 * The weights of one component of a checkpoint: which tensors there are, and where their bytes lie. Nothing is read
 * before it is asked for.
 *
 * @module
 */

import type { DType } from "../../artifacts/dtype.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import type { LowRankBranch } from "../lora/branch.ts";

/** Where a tensor's bytes lie. */
export interface WeightLocation {
  /** Name in the checkpoint: `transformer_blocks.0.attn1.to_q.weight`. */
  readonly name: string;
  /** Element type as stored. */
  readonly dtype: DType;
  /** Shape as stored. */
  readonly shape: readonly number[];
  /** The folder that really holds the file, links resolved, or its address. */
  readonly folder: string;
  /** Name of the safetensors file in that folder; of a part of it where it lies behind HTTP. */
  readonly file: string;
  /** First byte in the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  /** Where the weight [rows, columns] is quantized: its values and scales, and what they mean. */
  readonly quantized?: QuantizedLocation;
}

/** Where a quantized weight's parts lie. */
export type QuantizedLocation = BlockLocation | ColumnLocation;

/** Where a weight that is quantized in blocks lies. */
export interface BlockLocation {
  readonly layout: "blocks";
  /** Bits of a weight. */
  readonly bits: number;
  /** Weights of a row that share a scale. */
  readonly block: number;
  /** Values, uint8 [rows, blocks, bytes]. */
  readonly packed: WeightLocation;
  /** What one unit of each block is worth, float32 [rows, blocks]. */
  readonly scales: WeightLocation;
}

/** Where a weight of 8 bits with a scale for each output lies. */
export interface ColumnLocation {
  readonly layout: "columns";
  /** Values, transposed: int8 [columns, rows]. */
  readonly packed: WeightLocation;
  /** What one unit of each row is worth, float32 [rows]. */
  readonly scales: WeightLocation;
}

/** The weights of one component. */
export interface Weights {
  /** What they belong to, for errors: `tiny-alpha-512/transformer`. */
  readonly component: string;
  /** Names of all tensors. */
  readonly names: readonly string[];
  /**
   * Where a tensor lies.
   *
   * @param name Its name in the checkpoint.
   * @param shape The shape that the architecture expects; checked where given.
   * @throws {MissingWeightError} if there is no such tensor.
   * @throws {WeightShapeError} if its shape is another.
   */
  locate(name: string, shape?: readonly number[]): WeightLocation;
  /** Whether there is such a tensor. */
  has(name: string): boolean;
  /** Reads one tensor into memory, in its stored type. */
  read(name: string): Promise<Tensor>;
  /**
   * Reads some of a tensor's elements into memory, in their stored type.
   *
   * @param name Its name in the checkpoint.
   * @param first The first element, as they are stored.
   * @param end One past the last element.
   * @returns [end - first].
   */
  readElements(name: string, first: number, end: number): Promise<Tensor>;
  /** Low-rank branches beside a module, where adapters are laid over the weights. */
  branches?(module: string): readonly LowRankBranch[];
}
