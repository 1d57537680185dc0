/**
 * ONNX Runtime's native library, for Deno and Node.
 *
 * @module
 */

import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { ARRAY_TYPES, type DType } from "../artifacts/dtype.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { memoryFigures } from "./memory.ts";
import type {
  MemoryFigures,
  ModelGraph,
  OpenOptions,
  Runtime,
  Session,
  SessionRunOptions,
} from "./runtime.ts";

/** Where graphs run. */
export type Device = "cpu" | "webgpu" | "cuda";

/** How the runtime works. */
export interface OnnxRuntimeNodeOptions {
  /**
   * Where graphs run.
   *
   * @default {"cpu"}
   */
  readonly device?: Device;
  /** Threads of one operator on a CPU; one per core by default. */
  readonly threads?: number;
}

/** ONNX Runtime could not open or run a graph; the message names the graph, `cause` is its own error. */
export class OnnxRuntimeError extends Error {
  override name = "OnnxRuntimeError";
}

/**
 * ONNX Runtime's native library. Weights are mapped from their files, never copied: nothing is prepacked.
 *
 * @example Usage
 * ```ts
 * import { OnnxRuntimeNode } from "./onnxruntime_node.ts";
 * import { GraphBuilder } from "../models/onnx/graph_builder.ts";
 * import { tensor } from "../artifacts/tensor.ts";
 * import assert from "node:assert/strict";
 *
 * const g = new GraphBuilder();
 * const x = g.input("x", "float32", ["n"]);
 * g.output("twice", g.add(x, x), ["n"]);
 *
 * await using session = await new OnnxRuntimeNode().open(g.build("twice"));
 * const { twice } = await session.run({ x: tensor("float32", [2], Float32Array.of(1, 2)) });
 * assert.deepEqual(twice?.data, Float32Array.of(2, 4));
 * ```
 */
export class OnnxRuntimeNode implements Runtime {
  /** Where graphs run. */
  readonly device: Device;
  readonly #threads: number | undefined;

  /**
   * @param options Device and threads.
   * @throws {RangeError} if `threads` is not a whole number above 0.
   */
  constructor(options: OnnxRuntimeNodeOptions = {}) {
    const { device = "cpu", threads } = options;
    if (threads !== undefined && !(Number.isSafeInteger(threads) && threads > 0)) {
      throw new RangeError(
        `Cannot make a runtime as threads must be whole and > 0: current value is ${threads}`,
      );
    }
    this.device = device;
    this.#threads = threads;
    env.logLevel = "error";
  }

  /**
   * Opens a graph.
   *
   * @throws {OnnxRuntimeError} if ONNX Runtime refuses the graph or finds no such device.
   */
  async open(graph: ModelGraph, options: OpenOptions = {}): Promise<Session> {
    options.signal?.throwIfAborted();
    let session: InferenceSession;
    try {
      session = await InferenceSession.create(graph.bytes, this.#sessionOptions(graph, options));
    } catch (cause) {
      throw new OnnxRuntimeError(`Cannot open graph ${graph.name} on ${this.device}: ${reason(cause)}`, {
        cause,
      });
    }
    return new OnnxRuntimeSession(graph.name, session);
  }

  /** Memory of this process. */
  memory(): MemoryFigures {
    return memoryFigures();
  }

  #sessionOptions(graph: ModelGraph, options: OpenOptions): InferenceSession.SessionOptions {
    return {
      executionProviders: [this.device],
      graphOptimizationLevel: options.foldConstants ? "basic" : "disabled",
      enableCpuMemArena: options.memoryPool ?? true,
      enableMemPattern: false,
      logSeverityLevel: 3,
      ...(this.#threads === undefined ? {} : { intraOpNumThreads: this.#threads }),
      extra: {
        session: {
          disable_prepacking: "1",
          ...(graph.weightsFolder === undefined
            ? {}
            : { model_external_initializers_file_folder_path: graph.weightsFolder }),
        },
      },
    };
  }
}

class OnnxRuntimeSession implements Session {
  readonly #graph: string;
  #session: InferenceSession | undefined;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];

  constructor(graph: string, session: InferenceSession) {
    this.#graph = graph;
    this.#session = session;
    this.inputs = session.inputNames;
    this.outputs = session.outputNames;
  }

  async run(
    feeds: Readonly<Record<string, Tensor>>,
    { outputs: wanted = {} }: SessionRunOptions = {},
  ): Promise<Record<string, Tensor>> {
    const session = this.#session;
    if (session === undefined) {
      throw new OnnxRuntimeError(`Cannot run graph ${this.#graph} as it has been released`);
    }
    const inputs = this.#check(session, feeds);
    const fetches: Record<string, OrtTensor | null> = {};
    for (const name of this.outputs) {
      const into = wanted[name];
      fetches[name] = into ? new OrtTensor("float32", into.data, into.shape) : null;
    }
    let outputs: InferenceSession.ReturnType;
    try {
      outputs = await session.run(inputs, fetches);
    } catch (cause) {
      throw new OnnxRuntimeError(`Cannot run graph ${this.#graph}: ${reason(cause)}`, { cause });
    }
    return Object.fromEntries(
      Object.entries(outputs).map(([name, output]) => [name, wanted[name] ?? fromOrt(output)]),
    );
  }

  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #check(session: InferenceSession, feeds: Readonly<Record<string, Tensor>>): Record<string, OrtTensor> {
    const unknown = Object.keys(feeds).find((name) => !this.inputs.includes(name));
    if (unknown !== undefined) {
      throw new TypeError(
        `Cannot run graph ${this.#graph} as ${unknown} is none of its inputs: these are ${
          this.inputs.join(", ")
        }`,
      );
    }
    const inputs: Record<string, OrtTensor> = {};
    for (const wanted of session.inputMetadata) {
      const { name } = wanted;
      const given = feeds[name];
      if (!wanted.isTensor || given === undefined) {
        throw new TypeError(`Cannot run graph ${this.#graph} as input ${name} is missing`);
      }
      if (given.dtype !== wanted.type || !fits(given.shape, wanted.shape)) {
        throw new TypeError(
          `Cannot run graph ${this.#graph} as input ${name} must be ${wanted.type} [${wanted.shape}]: ` +
            `current value is ${given.dtype} [${given.shape}]`,
        );
      }
      inputs[name] = toOrt(given);
    }
    return inputs;
  }
}

/**
 * The fields that the native library reads. Its own class would turn float16's Uint16Array into a Float16Array, which
 * Deno's Node-API does not know.
 */
function toOrt({ dtype, shape, data }: Tensor): OrtTensor {
  return { type: dtype, dims: shape, data, location: "cpu" } as unknown as OrtTensor;
}

/** A tensor over the same bytes. */
function fromOrt({ type, dims, data }: OrtTensor): Tensor {
  const { buffer, byteOffset, length } = data as Exclude<OrtTensor.DataType, string[]>;
  const dtype = type as DType;
  return tensor(dtype, dims, new ARRAY_TYPES[dtype](buffer as ArrayBuffer, byteOffset, length));
}

function fits(shape: readonly number[], wanted: readonly (number | string)[]): boolean {
  return shape.length === wanted.length &&
    shape.every((size, axis) => typeof wanted[axis] === "string" || size === wanted[axis]);
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
