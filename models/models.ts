// This module is browser compatible.

/**
 * Opens checkpoints by reference. Stages receive one from the executor.
 *
 * @module
 */

import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Component } from "./checkpoint/component.ts";
import type { Weights } from "./checkpoint/weights.ts";
import type { QuantizedPrecision } from "./precision.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { LoraAdapter } from "./lora/adapter.ts";

/** How far a quantization is. */
export interface QuantizationProgress {
  /** Tensors that are done. */
  readonly done: number;
  /** Tensors in all. */
  readonly total: number;
  /** Bytes that are written. */
  readonly bytes: number;
}

/** How a component is quantized. */
export interface QuantizeOptions {
  /** Is called for each tensor. */
  readonly onProgress?: ((progress: QuantizationProgress) => void) | undefined;
  /** Stops the work; what is done is kept, and the next call goes on from there. */
  readonly signal?: AbortSignal | undefined;
}

/** Which checkpoint to open. */
export interface ModelReference {
  /** A folder, or `org/name` or `org/name@revision` of a hub. */
  readonly model: string;
  /** Which files, where the checkpoint has several: `fp16`. */
  readonly variant?: string | undefined;
}

/** Opens checkpoints by reference; a checkpoint that was opened before may be given again. */
export interface Models {
  /**
   * Opens a checkpoint: reads configurations, no weights. Where weights are fetched when they are needed, the signal stops
   * that too.
   *
   * @throws if there is no such checkpoint, or its files are not those of a checkpoint.
   */
  open(reference: ModelReference, signal?: AbortSignal): Promise<Checkpoint>;
  /**
   * Opens one component: of a checkpoint, or of a folder that holds that component alone. The signal is as for `open`.
   *
   * @throws if there is no such component.
   */
  component(reference: ModelReference, name: ComponentName, signal?: AbortSignal): Promise<Component>;
  /**
   * Opens a LoRA adapter: its names and settings, no matrix.
   *
   * @param name A file, a folder, or `org/name` or `org/name@revision` of a hub.
   * @throws {AdapterError} if there is none, or it is none that can be used.
   */
  adapter?(name: string, signal?: AbortSignal): Promise<LoraAdapter>;
  /**
   * Whether weights of a checkpoint have to be downloaded before all of its components can be used. A
   * checkpoint that there is not needs none.
   */
  needsDownload?(reference: ModelReference): Promise<boolean>;
  /**
   * The same checkpoints, of which the headers of weights are read where they lie, and nothing is downloaded.
   */
  withoutDownloads?(): Models;
  /**
   * Opens a component's weights quantized, where there is a place to keep them: they are written there once.
   *
   * @throws if they cannot be written.
   */
  quantized?(component: Component, recipe: QuantizedPrecision, options?: QuantizeOptions): Promise<Weights>;
}
