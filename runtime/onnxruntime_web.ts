// This module is browser compatible.

/**
 * ONNX Runtime's web library, for browsers, workers and edge runtimes.
 *
 * @module
 */

import type { InferenceSession, InferenceSessionFactory } from "onnxruntime-common";
import { fetchBytes } from "../artifacts/fetch_bytes.ts";
import { deviceTraits } from "./device.ts";
import { joinParts, parseFilePart } from "./file_part.ts";
import { KeptSessions } from "./kept_sessions.ts";
import { OnnxRuntimeError, OnnxRuntimeSession, reason } from "./onnxruntime_session.ts";
import type { ModelGraph, OpenOptions, Runtime, RuntimeTraits, Session } from "./runtime.ts";

/** What is used of the library. */
export interface OnnxRuntimeLibrary {
  /** Opens graphs. */
  readonly InferenceSession: InferenceSessionFactory;
}

/** How the runtime works. */
export interface OnnxRuntimeWebOptions {
  /**
   * Where graphs run: in WebAssembly, or on a GPU, which takes the library's part `onnxruntime-web/webgpu`.
   *
   * @default {"cpu"}
   */
  readonly device?: "cpu" | "webgpu";
  /**
   * Fetches weights.
   *
   * @default {fetch}
   */
  readonly fetch?: typeof fetch;
}

/**
 * ONNX Runtime's web library. Weights are fetched by the byte, when a graph opens, from where the checkpoint lies
 * (`openHttpSource`): a model that streams holds one layer's weights at a time here too.
 *
 * @example Usage
 * ```ts ignore
 * import * as ort from "onnxruntime-web/wasm";
 * import { OnnxRuntimeWeb } from "./onnxruntime_web.ts";
 *
 * const runtime = new OnnxRuntimeWeb(ort, { device: "cpu" });
 * ```
 */
export class OnnxRuntimeWeb implements Runtime {
  /** Where graphs run. */
  readonly device: "cpu" | "webgpu";
  /** Properties of the device. */
  readonly traits: RuntimeTraits;
  readonly #library: OnnxRuntimeLibrary;
  readonly #fetch: typeof fetch;
  readonly #kept = new KeptSessions();

  /**
   * @param library `onnxruntime-web`, or a part of it such as `onnxruntime-web/wasm`.
   * @param options Device, and how weights are fetched.
   */
  constructor(library: OnnxRuntimeLibrary, options: OnnxRuntimeWebOptions = {}) {
    this.#library = library;
    this.device = options.device ?? "cpu";
    this.traits = deviceTraits(this.device);
    this.#fetch = options.fetch ?? ((...request) => fetch(...request));
  }

  /**
   * Opens a graph.
   *
   * @throws {FetchError} if a weight cannot be fetched.
   * @throws {OnnxRuntimeError} if ONNX Runtime refuses the graph or finds no such device.
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

  async #create(graph: ModelGraph, options: OpenOptions): Promise<Session> {
    const externalData = await this.#weights(graph, options.signal);
    const { InferenceSession } = this.#library;
    let session: InferenceSession;
    try {
      session = await InferenceSession.create(graph.bytes, {
        executionProviders: [this.device === "cpu" ? "wasm" : this.device],
        graphOptimizationLevel: graph.prepareWeights ? "basic" : "disabled",
        enableCpuMemArena: options.memoryPool ?? true,
        enableMemPattern: false,
        externalData,
        extra: { session: { disable_prepacking: graph.prepareWeights ? "0" : "1" } },
      });
    } catch (cause) {
      throw new OnnxRuntimeError(`Cannot open graph ${graph.name} on ${this.device}: ${reason(cause)}`, {
        cause,
      });
    }
    return new OnnxRuntimeSession(graph, session);
  }

  /** The weights that a graph names; those that lie side by side are fetched at once. */
  async #weights({ weightsFolder, weightFiles = [] }: ModelGraph, signal: AbortSignal | undefined) {
    const fetcher: typeof fetch = (url, init) => this.#fetch(url, { ...init, ...(signal ? { signal } : {}) });
    const spans = joinParts(weightFiles.map((name) => ({ name, ...parseFilePart(name) })));
    const fetched = await Promise.all(spans.map(async ({ parts, ...span }) => {
      const bytes = await fetchBytes(fetcher, new URL(span.file, weightsFolder), span);
      return parts.map(({ name, start, end }) => ({
        path: name,
        data: bytes.subarray(start - span.start, end - span.start),
      }));
    }));
    return fetched.flat();
  }
}
