// This module is browser compatible.

/**
 * Opens checkpoints by reference. Stages receive one from the executor.
 *
 * @module
 */

import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Component } from "./checkpoint/component.ts";
import type { Weights } from "./checkpoint/weights.ts";
import type { RecipeName } from "./precision.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { LoraAdapter } from "./lora/adapter.ts";

/** Progress of a quantization. */
export interface QuantizationProgress {
  /** Number of finished tensors. */
  readonly done: number;
  /** Total number of tensors. */
  readonly total: number;
  /** Number of bytes written so far. */
  readonly bytes: number;
}

/** Options for quantizing a component. */
export interface QuantizeOptions {
  /** Called after each tensor. */
  readonly onProgress?: ((progress: QuantizationProgress) => void) | undefined;
  /** Signal that aborts the work. Finished tensors are kept, and the next call continues from there. */
  readonly signal?: AbortSignal | undefined;
}

/** A reference to a checkpoint. */
export interface ModelReference {
  /** A folder, or `org/name` or `org/name@revision` on a hub. */
  readonly model: string;
  /** Variant of the weights, if the checkpoint has several: `fp16`. */
  readonly variant?: string | undefined;
}

/** Opens checkpoints by reference. An implementation may return a checkpoint that it opened before. */
export interface Models {
  /**
   * Opens a checkpoint: reads configurations but no weights. If weights are fetched on demand, the signal
   * also aborts those fetches.
   *
   * @throws if the checkpoint does not exist or its files do not form a checkpoint.
   */
  open(reference: ModelReference, signal?: AbortSignal): Promise<Checkpoint>;
  /**
   * Opens one component of a checkpoint, or of a folder that contains only that component. The signal works
   * as in `open`.
   *
   * @throws if the component does not exist.
   */
  component(reference: ModelReference, name: ComponentName, signal?: AbortSignal): Promise<Component>;
  /**
   * Opens a LoRA adapter: reads its names and settings but no matrices.
   *
   * @param name A file, a folder, or `org/name` or `org/name@revision` on a hub.
   * @throws {AdapterError} if the adapter does not exist or cannot be used.
   */
  adapter?(name: string, signal?: AbortSignal): Promise<LoraAdapter>;
  /**
   * Returns whether weights must be downloaded before all components of a checkpoint can be used. False if
   * the checkpoint does not exist.
   */
  needsDownload?(reference: ModelReference): Promise<boolean>;
  /**
   * Returns the same checkpoints in a form that downloads nothing: headers of weights are read from wherever
   * they are stored.
   */
  withoutDownloads?(): Models;
  /**
   * Opens the quantized weights of a component, writing them on first use. Absent if there is no place to
   * store them.
   *
   * @throws if the quantized weights cannot be written.
   */
  quantized?(component: Component, recipe: RecipeName, options?: QuantizeOptions): Promise<Weights>;
}
