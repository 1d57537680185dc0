// This module is browser compatible.

/**
 * The one door to inference: what stages ask of a runtime. `onnxruntime_node.ts` is the implementation for Deno and
 * Node.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";
import type { Tensor } from "../artifacts/tensor.ts";

/** An ONNX graph, ready to be opened. */
export interface ModelGraph {
  /** What it is, for errors and reports: `transformer.blocks.3`. */
  readonly name: string;
  /** A serialized ONNX `ModelProto`. Initializers may name files of `weightsFolder` as external data. */
  readonly bytes: Uint8Array;
  /** The folder that really holds the files named by external initializers, links resolved, or its address. */
  readonly weightsFolder?: string;
  /** The files, and parts of files, that external initializers name. */
  readonly weightFiles?: readonly string[];
  /** Bytes of the weights that it refers to, for the memory report. */
  readonly weightBytes: number;
  /**
   * Whether weights are cast and laid out for speed once, when the graph opens, which holds a copy of them, or used as
   * mapped at each run. Results differ in their last bits. Quantized weights need it; it pays for what runs often.
   *
   * @default {false}
   */
  readonly prepareWeights?: boolean;
  /**
   * Where it multiplies unsigned with signed bytes: a graph whose output `overflows` tells whether that overflows on the
   * processor. There ONNX Runtime makes the signed bytes unsigned, which takes twice the time.
   */
  readonly byteProductProbe?: ModelGraph;
}

/** How a graph is opened. */
export interface OpenOptions {
  /** Stops the opening. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether operators take their memory from a pool that grows, and goes back with the session. It is leaner and faster
   * for the tensors of transformers; tensors above 32 MB, as in a VAE, go back at once without it.
   *
   * @default {true}
   */
  readonly memoryPool?: boolean | undefined;
  /**
   * Whether the runtime keeps the session after its release, and gives it to the next model that opens the same graph.
   *
   * @default {false}
   */
  readonly keep?: boolean | undefined;
}

/** How a graph is run. */
export interface SessionRunOptions {
  /** Tensors that outputs are written into, by name; they may share memory with inputs. New ones for the others. */
  readonly outputs?: Readonly<Record<string, Tensor<"float32">>>;
}

/** An open graph. Release it: its memory is native and no garbage collector knows of it. */
export interface Session extends AsyncDisposable {
  /** Names of the inputs. */
  readonly inputs: readonly string[];
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  /** Runs the graph. Blocks the thread while it runs on a CPU. */
  run(feeds: Readonly<Record<string, Tensor>>, options?: SessionRunOptions): Promise<Record<string, Tensor>>;
  /** Gives the memory back; calling it again does nothing. */
  release(): Promise<void>;
}

/** Properties of a device. Code asks for these instead of the device's name. */
export interface RuntimeTraits {
  /** Whether weights and activations lie in the memory of the process. */
  readonly hostMemory: boolean;
  /**
   * What is worth computing in float16: nothing, products with weights alone, as attention and norms add up in the type
   * that they are given, or whole blocks of a transformer, as all kernels add up in float32.
   */
  readonly float16: false | "products" | "blocks";
  /**
   * Whether weights are transposed when a graph opens, as a product with a transposed matrix takes several times as long
   * as one without.
   */
  readonly transposesWeights?: boolean;
  /** Whether memory of tensors that nothing needs any more is free for others only when the run of a graph ends. */
  readonly freesLate?: boolean;
  /**
   * Rows that fill the device by themselves: up to so many, twice as many take less than twice the time. Absent for a CPU,
   * which any number fills.
   */
  readonly fillingTokens?: number;
  /** Memory of a GPU that its driver and its libraries take, whatever runs, in bytes. */
  readonly contextBytes?: number;
  /** Tells apart devices whose results differ in their last digits; absent for the reference, the CPU. */
  readonly numerics?: JsonObject;
}

/** Opens graphs on a device. */
export interface Runtime {
  /** The device's name: `cpu`, `webgpu`, `cuda`. */
  readonly device: string;
  /** Properties of the device that the choice of graphs depends on. */
  readonly traits: RuntimeTraits;
  /** Opens a graph. */
  open(graph: ModelGraph, options?: OpenOptions): Promise<Session>;
  /** Releases the sessions that are kept, where any are. */
  release?(): Promise<void>;
  /** Resident memory of this process in bytes, where it can be known. */
  memory?(): MemoryFigures;
  /** Lets the peak of {@linkcode Runtime.memory} begin anew, where it can. */
  resetPeakMemory?(): void;
  /** Gives back to the system what is no longer used, where that is much: the next stage begins where this one did. */
  giveBackMemory?(): Promise<void>;
}

/** Memory of a process, in bytes. */
export interface MemoryFigures {
  /** Resident now. */
  readonly resident: number;
  /** Of that, not backed by a file: what cannot be given back without a swap. */
  readonly anonymous?: number;
  /** Of that, mapped files: weights, which the system can drop at any time. */
  readonly file?: number;
  /** Largest resident size since the start or the last reset. */
  readonly peak?: number;
  /** Largest share of it that no file backs, as seen at the end of each run of a graph. */
  readonly peakAnonymous?: number;
  /** Largest share of mapped files, as seen at the end of each run of a graph. */
  readonly peakFile?: number;
  /** Largest resident size since the process started. */
  readonly processPeak?: number;
  /** Memory of the GPU at its largest, as seen at the end of runs of graphs, where it can be known. */
  readonly gpuPeak?: number;
  /** Bytes of the weights that were open at a time, at most. */
  readonly weightBytes?: number;
  /** Milliseconds that opening graphs took. */
  readonly loadMs?: number;
}
