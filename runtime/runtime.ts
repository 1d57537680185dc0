// This module is browser compatible.

/**
 * The interface for inference, through which stages use a runtime. `onnxruntime_node.ts` implements it for
 * Deno and Node.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";
import type { Tensor } from "../artifacts/tensor.ts";

/** An ONNX graph, ready to be opened. */
export interface ModelGraph {
  /** Name of the graph, for errors and reports, e.g. `transformer.blocks.3`. */
  readonly name: string;
  /** A serialized ONNX `ModelProto`. Initializers can name files in `weightsFolder` as external data. */
  readonly bytes: Uint8Array;
  /**
   * The folder, or its URL, of the files named by external initializers. It must be the real folder, with
   * links resolved.
   */
  readonly weightsFolder?: string;
  /** The files, and parts of files, that external initializers name. */
  readonly weightFiles?: readonly string[];
  /** Number of bytes of its weights, for the memory report. */
  readonly weightBytes: number;
  /**
   * Whether to cast weights and lay them out for speed once, when the graph opens, which keeps a copy of
   * them. Otherwise they are used as mapped in each run. Results differ in their last bits. Quantized weights
   * need it; it pays off for graphs that run often.
   *
   * @default {false}
   */
  readonly prepareWeights?: boolean;
  /**
   * For a graph that multiplies unsigned with signed bytes: a graph whose output `overflows` tells whether
   * that overflows on the processor. If it does, ONNX Runtime makes the signed bytes unsigned, which takes
   * twice the time.
   */
  readonly byteProductProbe?: ModelGraph;
  /**
   * Whether linear layers multiply by matrices that are not quantized. Without folding constants when the graph
   * opens, their results differ in the last digits, and a matrix that is cast cannot be laid out for speed.
   *
   * @default {false}
   */
  readonly multipliesFloats?: boolean;
}

/** Options for opening a graph. */
export interface OpenOptions {
  /** Stops the opening when aborted. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether operators use a memory pool that grows, and that is freed with the session. It is leaner and
   * faster for the tensors of transformers. Without it, tensors above 32 MB, as in a VAE, are freed
   * immediately.
   *
   * @default {true}
   */
  readonly memoryPool?: boolean | undefined;
  /**
   * Whether the runtime keeps the session after its release, for the next model that opens the same graph.
   *
   * @default {false}
   */
  readonly keep?: boolean | undefined;
  /**
   * Whether the session is released after a few runs, as when weights stream. A graph whose products are all
   * of integers then opens twice as fast, because its constant expressions are computed in each run. Results
   * are the same, bit for bit.
   *
   * @default {false}
   */
  readonly isShortLived?: boolean | undefined;
}

/** An open graph. Release it, because its memory is native and invisible to the garbage collector. */
export interface Session extends AsyncDisposable {
  /** Names of the inputs. */
  readonly inputs: readonly string[];
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  /** Runs the graph. Blocks the thread while it runs on a CPU. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** Releases the memory. Further calls do nothing. */
  release(): Promise<void>;
}

/**
 * The products of attention that are products of bytes: those of queries and keys, which give the scores, also
 * those of attention weights and values, or none.
 */
export type ByteAttention = "all" | "scores" | "none";

/** Properties of a device. Code checks these instead of the device's name. */
export interface RuntimeTraits {
  /** Whether weights and activations are in the memory of the process. */
  readonly hostMemory: boolean;
  /**
   * What pays off in float16: nothing; only the weights in memory, if kernels accumulate in the type of their
   * inputs; or whole blocks of a transformer, if they accumulate in float32.
   */
  readonly float16: false | "weights" | "blocks";
  /** Whether products in float32 round their inputs to the 10 bits of TF32. */
  readonly tf32?: boolean;
  /**
   * Whether weights are transposed when a graph opens, because a product with a transposed matrix takes
   * several times as long as one without.
   */
  readonly transposesWeights?: boolean;
  /** Whether the memory of unused tensors only becomes free for others when the run of a graph ends. */
  readonly freesLate?: boolean;
  /**
   * Number of rows that saturate the device. Up to that number, twice as many rows take less than twice the
   * time. Absent for a CPU, which any number saturates.
   */
  readonly fillingTokens?: number;
  /** GPU memory that the driver and its libraries always need, in bytes. */
  readonly contextBytes?: number;
  /** Number of threads per operator on a CPU. Absent if it is unknown. */
  readonly threads?: number;
  /** The products of attention that a CPU computes faster from bytes than from float32. All if absent. */
  readonly byteAttention?: ByteAttention;
  /** Identifies devices whose results differ in their last digits. Absent for the reference, the CPU. */
  readonly numerics?: JsonObject;
}

/** Opens graphs on a device. */
export interface Runtime {
  /** The device's name: `cpu`, `webgpu` or `cuda`. */
  readonly device: string;
  /** Properties of the device that determine the choice of graphs. */
  readonly traits: RuntimeTraits;
  /** Opens a graph. */
  open(graph: ModelGraph, options?: OpenOptions): Promise<Session>;
  /** Releases the kept sessions, if any. */
  release?(): Promise<void>;
  /** Returns the memory figures of this process, if known. */
  memory?(): MemoryFigures;
  /** Resets the peak of {@linkcode Runtime.memory}, if possible. */
  resetPeakMemory?(): void;
  /**
   * Releases unused memory to the system if there is much of it, so that the next stage starts from the same
   * level as this one.
   */
  giveBackMemory?(): Promise<void>;
}

/** Memory of a process, in bytes. */
export interface MemoryFigures {
  /** Resident memory now. */
  readonly resident: number;
  /** The part of `resident` that no file backs. It cannot be released without swapping. */
  readonly anonymous?: number;
  /** The part of `resident` that is mapped from files: weights, which the system can drop at any time. */
  readonly file?: number;
  /** Peak resident memory since the start or the last reset. */
  readonly peak?: number;
  /** Peak of the part that no file backs, sampled at the end of each graph run. */
  readonly peakAnonymous?: number;
  /** Peak of the part that is mapped from files, sampled at the end of each graph run. */
  readonly peakFile?: number;
  /** Peak resident memory since the process started. */
  readonly processPeak?: number;
  /** Peak GPU memory, sampled at the end of graph runs, if known. */
  readonly gpuPeak?: number;
  /** Maximum number of bytes of weights open at the same time. */
  readonly weightBytes?: number;
  /** Milliseconds spent opening graphs. */
  readonly loadMs?: number;
}
