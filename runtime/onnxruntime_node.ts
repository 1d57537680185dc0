/**
 * ONNX Runtime's native library, for Deno and Node.
 *
 * @module
 */

// Imports run in this order: telemetry is off before the library loads.
import "./without_telemetry.ts";
import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { env, InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { prepareCuda } from "./cuda_environment.ts";
import { type Device, DeviceError, deviceTraits, missingReason, providerOf } from "./device.ts";
import { giveBackUnused, returnLargeBlocks } from "./freed_memory.ts";
import { GpuMemory } from "./gpu_memory.ts";
import { KeptSessions } from "./kept_sessions.ts";
import { MemoryMeter } from "./memory_meter.ts";
import { OnnxRuntimeError, OnnxRuntimeSession, reason } from "./onnxruntime_session.ts";
import { threadsSchema } from "./threads.ts";
import type { MemoryFigures, ModelGraph, OpenOptions, Runtime, RuntimeTraits, Session } from "./runtime.ts";

export type { Device };

/** The process may grow by so much before memory is given back, which takes some 20 ms. */
const GROWTH_BYTES = 16e6;

/** What {@linkcode ModelGraph.byteProductProbe} gave. */
let byteProductsOverflow: Promise<boolean> | undefined;

/** How the runtime works. */
export interface OnnxRuntimeNodeOptions {
  /**
   * Where graphs run.
   *
   * @default {"cpu"}
   */
  readonly device?: Device | undefined;
  /** Threads of one operator on a CPU, {@linkcode MOST_THREADS} at most; one per core by default. */
  readonly threads?: number | undefined;
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
  /** Properties of the device. */
  readonly traits: RuntimeTraits;
  readonly #threads: number | undefined;
  readonly #gpu: GpuMemory | undefined;
  readonly #meter: MemoryMeter;
  readonly #kept = new KeptSessions();

  /**
   * @param options Device and threads.
   * @throws {InputError} if `threads` is not whole, or out of range.
   */
  constructor(options: OnnxRuntimeNodeOptions = {}) {
    const { device = "cpu", threads } = options;
    parseValue(
      z.object({ threads: threadsSchema.optional() }),
      { threads },
      ({ clause, field }, options) =>
        new InputError("out_of_range", `Cannot make a runtime as ${clause}`, {
          ...options,
          details: { field },
        }),
    );
    const { provider, index } = providerOf(device);
    if (provider === "cuda") prepareCuda();
    this.device = device;
    this.traits = deviceTraits(device);
    this.#gpu = this.traits.hostMemory ? undefined : new GpuMemory({ index });
    this.#meter = new MemoryMeter(this.#gpu);
    this.#threads = threads;
    // What fails is thrown; saying it on standard error too is noise.
    env.logLevel = "fatal";
    returnLargeBlocks();
  }

  /**
   * Opens a graph.
   *
   * @throws {DeviceError} if there is no such device.
   * @throws {OnnxRuntimeError} if ONNX Runtime refuses the graph.
   */
  async open(graph: ModelGraph, options: OpenOptions = {}): Promise<Session> {
    options.signal?.throwIfAborted();
    const create = () => this.#create(graph, options);
    return options.keep ? await this.#kept.open(graph, create) : await create();
  }

  /** Releases the sessions that are kept. */
  async release(): Promise<void> {
    await this.#kept.release();
  }

  async #create(graph: ModelGraph, options: OpenOptions): Promise<OnnxRuntimeSession> {
    const started = performance.now();
    let session: InferenceSession;
    try {
      const overflows = await this.#overflows(graph.byteProductProbe);
      session = await InferenceSession.create(graph.bytes, this.#sessionOptions(graph, options, overflows));
    } catch (cause) {
      const missing = missingReason(this.device, reason(cause));
      if (missing !== undefined) throw new DeviceError(this.device, missing, { cause });
      throw new OnnxRuntimeError(`Cannot open graph ${graph.name} on ${this.device}: ${reason(cause)}`, {
        cause,
      });
    }
    this.#meter.opened(graph.weightBytes, performance.now() - started);
    return new OnnxRuntimeSession(graph, session, {
      toOutput: ({ data, shape }) => new OrtTensor("float32", data, shape),
      onRun: () => this.#meter.observe(),
      onRelease: () => this.#meter.released(graph.weightBytes),
    });
  }

  /** Memory of this process, and what graphs took of it since the last reset. */
  memory(): MemoryFigures {
    return this.#meter.figures();
  }

  /** Bytes of GPU memory that were free before this runtime opened a graph; undefined where it runs on a CPU. */
  get freeGpuMemory(): number | undefined {
    return this.#gpu?.free;
  }

  /** Lets peaks begin anew. */
  resetPeakMemory(): void {
    this.#meter.reset();
  }

  /** Gives back what is no longer used, where the process has grown by more than {@linkcode GROWTH_BYTES}. */
  async giveBackMemory(): Promise<void> {
    if (this.#meter.growth() < GROWTH_BYTES) return;
    await giveBackUnused();
    this.#meter.gaveBack();
  }

  /** Whether products of bytes overflow on this processor, which is tried once. */
  async #overflows(probe: ModelGraph | undefined): Promise<boolean> {
    if (probe === undefined || !this.traits.hostMemory) return false;
    return await (byteProductsOverflow ??= (async () => {
      const session = await InferenceSession.create(probe.bytes, this.#sessionOptions(probe, {}, false));
      const { overflows } = await session.run({});
      await session.release();
      return Number(overflows?.data[0]) === 1;
    })());
  }

  #sessionOptions(
    graph: ModelGraph,
    options: OpenOptions,
    overflows: boolean,
  ): InferenceSession.SessionOptions {
    const { provider, index } = providerOf(this.device);
    return {
      executionProviders: [index === undefined ? provider : { name: provider, deviceId: index }],
      graphOptimizationLevel: graph.byteProductProbe
        ? "extended"
        : graph.prepareWeights
        ? "basic"
        : "disabled",
      enableCpuMemArena: options.memoryPool ?? true,
      enableMemPattern: false,
      logSeverityLevel: 4,
      ...(this.#threads === undefined ? {} : { intraOpNumThreads: this.#threads }),
      extra: {
        // It gives weights that are dequantized zero points of a shape that is refused.
        ...(graph.byteProductProbe
          ? { optimization: { disable_specified_optimizers: "QDQS8ToU8Transformer" } }
          : {}),
        session: {
          disable_prepacking: graph.prepareWeights ? "0" : "1",
          // Is a change of graphs of the level "extended".
          ...(overflows ? { x64quantprecision: "1" } : {}),
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
