// This module is browser compatible.

/**
 * The weights of one component of a checkpoint: the names of its tensors and the locations of their bytes.
 * Tensors are read only on request.
 *
 * @module
 */

import type { DType } from "../../artifacts/dtype.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import type { LowRankBranch } from "../lora/branch.ts";

/** The location of a tensor's bytes. */
export interface WeightLocation {
  /** Name in the checkpoint: `transformer_blocks.0.attn1.to_q.weight`. */
  readonly name: string;
  /** Element type as stored. */
  readonly dtype: DType;
  /** Shape as stored. */
  readonly shape: readonly number[];
  /** The folder that contains the file, with links resolved, or its URL. */
  readonly folder: string;
  /** Name of the safetensors file in that folder. On an HTTP server, the name of a part of the file. */
  readonly file: string;
  /** Offset of the first byte in the file. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
  /** If the weight [rows, columns] is quantized, the locations of its values and scales, and their format. */
  readonly quantized?: QuantizedLocation;
}

/** The location of a quantized weight's parts. */
export type QuantizedLocation = BlockLocation | ColumnLocation;

/** The location of a weight that is quantized in blocks. */
export interface BlockLocation {
  readonly layout: "blocks";
  /** Bits per weight. */
  readonly bits: number;
  /** Number of consecutive weights of a row that share a scale. */
  readonly block: number;
  /** Bits per activation on a CPU. */
  readonly activationBits: 8 | 16;
  /** Values, uint8 [rows, blocks, bytes]. */
  readonly packed: WeightLocation;
  /** Scale of each block, float32 [rows, blocks]. */
  readonly scales: WeightLocation;
}

/** The location of an 8-bit weight with one scale per output. */
export interface ColumnLocation {
  readonly layout: "columns";
  /** Values, transposed: int8 [columns, rows]. */
  readonly packed: WeightLocation;
  /** Scale of each row, float32 [rows]. */
  readonly scales: WeightLocation;
}

/** The weights of one component. */
export interface Weights {
  /** Name of the component, for errors: `tiny-alpha-512/transformer`. */
  readonly component: string;
  /** Names of all tensors. */
  readonly names: readonly string[];
  /**
   * Locates a tensor.
   *
   * @param name Name of the weight in the checkpoint.
   * @param shape The shape that the architecture expects; checked if given.
   * @throws {MissingWeightError} if the tensor does not exist.
   * @throws {WeightShapeError} if its shape is different.
   */
  locate(name: string, shape?: readonly number[]): WeightLocation;
  /** Returns whether the tensor exists. */
  has(name: string): boolean;
  /** Reads one tensor into memory in its stored type. */
  read(name: string): Promise<Tensor>;
  /**
   * Reads a range of a tensor's elements into memory in their stored type.
   *
   * @param name Name of the weight in the checkpoint.
   * @param first Index of the first element, in storage order.
   * @param end One past the last element.
   * @returns [end - first].
   */
  readElements(name: string, first: number, end: number): Promise<Tensor>;
  /**
   * Returns the low-rank branches of a module: those of adapters, and those of `int4-lowrank`. Absent if the
   * weights cannot have any.
   */
  branches?(module: string): readonly LowRankBranch[];
}
