/**
 * ONNX Runtime's native library, for Deno and Node.
 *
 * @module
 */

import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { ARRAY_TYPES, type DType } from "../artifacts/dtype.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { MemoryMeter } from "./memory_meter.ts";
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
  /** How long each stage's weights are held, by the stage's name; `*` stands for all others. */
  readonly residency?: Runtime["residency"];
}

/** ONNX Runtime could not open or run a graph; the message names the graph, `cause` is its own error. */
export class OnnxRuntimeError extends Error {
  override name = "OnnxRuntimeError";
}

/**
 * ONNX Runtime's native library. Weights are mapped from their files, and copied only where a graph asks to
 * prepare them.
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
  /** How long each stage's weights are held. */
  readonly residency?: NonNullable<Runtime["residency"]>;
  readonly #threads: number | undefined;
  readonly #meter = new MemoryMeter();
  readonly #kept = new Map<string, Promise<OnnxRuntimeSession>>();

  /**
   * @param options Device and threads.
   * @throws {RangeError} if `threads` is not a whole number above 0.
   */
  constructor(options: OnnxRuntimeNodeOptions = {}) {
    const { device = "cpu", threads, residency } = options;
    if (threads !== undefined && !(Number.isSafeInteger(threads) && threads > 0)) {
      throw new RangeError(
        `Cannot make a runtime as threads must be whole and > 0: current value is ${threads}`,
      );
    }
    this.device = device;
    this.#threads = threads;
    if (residency) this.residency = residency;
    // What fails is thrown; saying it on standard error too is noise.
    env.logLevel = "fatal";
  }

  /**
   * Opens a graph.
   *
   * @throws {OnnxRuntimeError} if ONNX Runtime refuses the graph or finds no such device.
   */
  async open(graph: ModelGraph, options: OpenOptions = {}): Promise<Session> {
    options.signal?.throwIfAborted();
    if (!options.keep) return await this.#create(graph, options);
    const key = await graphKey(graph);
    const kept = this.#kept.get(key) ?? this.#create(graph, options);
    this.#kept.set(key, kept);
    try {
      return new KeptSession(await kept);
    } catch (error) {
      this.#kept.delete(key);
      throw error;
    }
  }

  /** Releases the sessions that are kept. */
  async release(): Promise<void> {
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    for (const session of kept) await (await session).release();
  }

  async #create(graph: ModelGraph, options: OpenOptions): Promise<OnnxRuntimeSession> {
    const started = performance.now();
    let session: InferenceSession;
    try {
      session = await InferenceSession.create(graph.bytes, this.#sessionOptions(graph, options));
    } catch (cause) {
      throw new OnnxRuntimeError(`Cannot open graph ${graph.name} on ${this.device}: ${reason(cause)}`, {
        cause,
      });
    }
    this.#meter.opened(graph.weightBytes, performance.now() - started);
    return new OnnxRuntimeSession(graph, session, this.#meter);
  }

  /** Memory of this process, and what graphs took of it since the last reset. */
  memory(): MemoryFigures {
    return this.#meter.figures();
  }

  /** Lets peaks begin anew. */
  resetPeakMemory(): void {
    this.#meter.reset();
  }

  #sessionOptions(graph: ModelGraph, options: OpenOptions): InferenceSession.SessionOptions {
    return {
      executionProviders: [this.device],
      graphOptimizationLevel: graph.prepareWeights ? "basic" : "disabled",
      enableCpuMemArena: options.memoryPool ?? true,
      enableMemPattern: false,
      logSeverityLevel: 4,
      ...(this.#threads === undefined ? {} : { intraOpNumThreads: this.#threads }),
      extra: {
        session: {
          disable_prepacking: graph.prepareWeights ? "0" : "1",
          // Else a session's idle threads take the cores from the next session for a while.
          force_spinning_stop: "1",
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
  readonly #weightBytes: number;
  readonly #meter: MemoryMeter;
  #session: InferenceSession | undefined;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];

  constructor(graph: ModelGraph, session: InferenceSession, meter: MemoryMeter) {
    this.#graph = graph.name;
    this.#weightBytes = graph.weightBytes;
    this.#meter = meter;
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
    this.#meter.observe();
    return Object.fromEntries(
      Object.entries(outputs).map(([name, output]) => [name, wanted[name] ?? fromOrt(output)]),
    );
  }

  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    await session.release();
    this.#meter.released(this.#weightBytes);
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

/** A session whose release leaves it to the runtime. */
class KeptSession implements Session {
  readonly #session: Session;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];

  constructor(session: Session) {
    this.#session = session;
    this.inputs = session.inputs;
    this.outputs = session.outputs;
  }

  run(
    feeds: Readonly<Record<string, Tensor>>,
    options?: SessionRunOptions,
  ): Promise<Record<string, Tensor>> {
    return this.#session.run(feeds, options);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Tells graphs apart by all that they are: operators, and where their weights lie. */
async function graphKey({ bytes, weightsFolder }: ModelGraph): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return `${weightsFolder} ${new Uint8Array(digest).toHex()}`;
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
