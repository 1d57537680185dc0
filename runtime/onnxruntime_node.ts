/**
 * ONNX Runtime's native library, for Deno and Node.
 *
 * @module
 */

// The order of imports matters: telemetry must be off before the library loads.
import "./without_telemetry.ts";
import { availableParallelism } from "node:os";
import { platform } from "node:process";
import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { env, InferenceSession } from "onnxruntime-node";
import { cudaNumber, loads, prepareCuda } from "./cuda_environment.ts";
import {
  type Device,
  DeviceError,
  deviceTraits,
  MISSING_VULKAN,
  missingDevice,
  providerOf,
  VULKAN_LOADER,
} from "./device.ts";
import { processorFeatures } from "../system/processor.ts";
import { giveBackUnused, LARGE_BYTES, returnBlocksFrom } from "../system/freed_memory.ts";
import { GpuMemory } from "./gpu_memory.ts";
import { KeptSessions } from "./kept_sessions.ts";
import { MemoryMeter } from "./memory_meter.ts";
import { OnnxRuntimeError, OnnxRuntimeSession, reason } from "./onnxruntime_session.ts";
import { threadsSchema } from "./threads.ts";
import { letEventsThrough } from "./waiting_events.ts";
import type {
  ByteAttention,
  MemoryFigures,
  ModelGraph,
  OpenOptions,
  Runtime,
  RuntimeTraits,
  Session,
} from "./runtime.ts";

export type { Device };

/** The version of the native library. */
export const LIBRARY_VERSION: string = env.versions.node ?? env.versions.common;

/** Growth of the process after which memory is released, which takes about 20 ms. */
const GROWTH_BYTES = 16e6;

/** The result of {@linkcode ModelGraph.byteProductProbe}. */
let byteProductsOverflow: Promise<boolean> | undefined;

/** The result of {@linkcode fastByteAttention}. */
let byteAttention: ByteAttention | undefined;

/** Options of {@linkcode OnnxRuntimeNode}. */
export interface OnnxRuntimeNodeOptions {
  /**
   * The device that runs graphs.
   *
   * @default {"cpu"}
   */
  readonly device?: Device | undefined;
  /**
   * Number of threads per operator on a CPU, at most 16, or the number of cores if that is larger. The default
   * is one per core.
   */
  readonly threads?: number | undefined;
}

/**
 * ONNX Runtime's native library. Weights are mapped from their files. They are only copied if a graph asks to
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
  /** The device that runs graphs. */
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
   * @throws {DeviceError} if this process already uses CUDA with the other kind of products.
   */
  constructor(options: OnnxRuntimeNodeOptions = {}) {
    const { device = "cpu", threads } = options;
    parseValue(
      z.object({ threads: threadsSchema.optional() }),
      { threads },
      ({ clause, field }, options) =>
        new InputError("out_of_range", `Cannot make a runtime: ${clause}`, {
          ...options,
          details: { field },
        }),
    );
    const { index } = providerOf(device);
    this.device = device;
    const traits = deviceTraits(device);
    this.traits = traits.hostMemory
      ? { ...traits, threads: threads ?? availableParallelism(), byteAttention: fastByteAttention() }
      : traits;
    this.#gpu = this.traits.hostMemory ? undefined : new GpuMemory({ index });
    if (index !== undefined) {
      prepareCuda(device, {
        tf32: this.traits.tf32 === true,
        index: this.#gpu?.isKnown ? index : undefined,
      });
    }
    this.#meter = new MemoryMeter(this.#gpu);
    this.#threads = threads;
    // Errors are thrown. Printing them on standard error as well is noise.
    env.logLevel = "fatal";
  }

  /**
   * Opens a graph.
   *
   * @throws {DeviceError} if there is no such device.
   * @throws {OnnxRuntimeError} if ONNX Runtime refuses the graph.
   */
  async open(graph: ModelGraph, options: OpenOptions = {}): Promise<Session> {
    options.signal?.throwIfAborted();
    // The library would print on standard error that it cannot load Vulkan, with a place in its own code.
    if (this.device === "webgpu" && platform === "linux" && !loads(VULKAN_LOADER)) {
      throw new DeviceError(this.device, MISSING_VULKAN.reason, { advice: MISSING_VULKAN.advice });
    }
    const create = () => this.#create(graph, options);
    return options.keep ? await this.#kept.open(graph, create) : await create();
  }

  /** Releases the kept sessions. */
  async release(): Promise<void> {
    await this.#kept.release();
  }

  async #create(graph: ModelGraph, options: OpenOptions): Promise<OnnxRuntimeSession> {
    const { isShortLived = false, memoryPool = true } = options;
    const isLarge = graph.weightBytes >= LARGE_BYTES.streaming;
    returnBlocksFrom(isShortLived && memoryPool && isLarge ? LARGE_BYTES.streaming : LARGE_BYTES.default);
    const started = performance.now();
    let session: InferenceSession;
    try {
      const overflows = await this.#overflows(graph.byteProductProbe);
      session = await InferenceSession.create(graph.bytes, this.#sessionOptions(graph, options, overflows));
    } catch (cause) {
      const missing = missingDevice(this.device, reason(cause));
      if (missing) throw new DeviceError(this.device, missing.reason, { advice: missing.advice, cause });
      throw new OnnxRuntimeError(`Cannot open graph ${graph.name} on ${this.device}: ${reason(cause)}`, {
        cause,
      });
    }
    this.#meter.opened(graph.weightBytes, performance.now() - started);
    return new OnnxRuntimeSession(graph, session, {
      onRun: async () => {
        this.#meter.observe();
        await letEventsThrough();
      },
      onRelease: () => this.#meter.released(graph.weightBytes),
    });
  }

  /** Returns the memory of this process, and what graphs have used of it since the last reset. */
  memory(): MemoryFigures {
    return this.#meter.figures();
  }

  /** Bytes of GPU memory that were free before this runtime opened a graph, or `undefined` on a CPU. */
  get freeGpuMemory(): number | undefined {
    return this.#gpu?.free;
  }

  /** Resets the peaks. */
  resetPeakMemory(): void {
    this.#meter.reset();
  }

  /** Releases unused memory if the process has grown by more than 16 MB. */
  async giveBackMemory(): Promise<void> {
    if (this.#meter.growth() < GROWTH_BYTES) return;
    await giveBackUnused();
    this.#meter.gaveBack();
  }

  /** Returns whether products of bytes overflow on this processor. Tries it once. */
  async #overflows(probe: ModelGraph | undefined): Promise<boolean> {
    if (probe === undefined || !this.traits.hostMemory) return false;
    byteProductsOverflow ??= this.#runProbe(probe);
    try {
      return await byteProductsOverflow;
    } catch (error) {
      // A probe that ran out of memory says nothing about the processor: the next graph tries again.
      byteProductsOverflow = undefined;
      throw error;
    }
  }

  async #runProbe(probe: ModelGraph): Promise<boolean> {
    const session = await InferenceSession.create(probe.bytes, this.#sessionOptions(probe, {}, false));
    try {
      const { overflows } = await session.run({});
      return Number(overflows?.data[0]) === 1;
    } finally {
      await session.release();
    }
  }

  #sessionOptions(
    graph: ModelGraph,
    options: OpenOptions,
    overflows: boolean,
  ): InferenceSession.SessionOptions {
    const { provider, index } = providerOf(this.device);
    return {
      executionProviders: [index === undefined ? provider : { name: "cuda", deviceId: cudaNumber(index) }],
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
        ...(graph.byteProductProbe
          ? {
            optimization: {
              disable_specified_optimizers: [
                // It gives dequantized weights zero points of a shape that ONNX Runtime refuses.
                "QDQS8ToU8Transformer",
                // It casts and transposes the weights that cross-attention absorbs.
                ...(options.isShortLived && !graph.multipliesFloats ? ["ConstantFolding"] : []),
              ].join(";"),
            },
          }
          : {}),
        session: {
          disable_prepacking: graph.prepareWeights ? "0" : "1",
          // Takes effect through a graph optimization of the level "extended".
          ...(overflows ? { x64quantprecision: "1" } : {}),
          // Otherwise a session's idle threads occupy the cores of the next session for a while.
          force_spinning_stop: "1",
          ...(graph.weightsFolder === undefined
            ? {}
            : { model_external_initializers_file_folder_path: graph.weightsFolder }),
        },
      },
    };
  }
}

/**
 * Returns the products of attention that this processor computes faster from bytes. Making bytes of attention
 * weights does not pay if it computes two products of 16 float32 values per cycle, as Intel's Xeons do; an
 * instruction set that AMD's processors up to Zen 5 lack identifies those since the fourth generation. With AMX,
 * ONNX Runtime also needs as long for scores from bytes as for those from float32.
 */
function fastByteAttention(): ByteAttention {
  if (byteAttention !== undefined) return byteAttention;
  const features = processorFeatures();
  return byteAttention = features["AMX int8"] ? "none" : features["AVX-512 FP16"] ? "scores" : "all";
}
