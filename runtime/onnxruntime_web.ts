// This module is browser compatible.

/**
 * ONNX Runtime's web library, for browsers, workers and edge runtimes.
 *
 * @module
 */

import type { InferenceSession, InferenceSessionFactory } from "onnxruntime-common";
import { fetchBytes } from "../network/fetch_bytes.ts";
import { deviceTraits } from "./device.ts";
import { joinParts, parseFilePart } from "./file_part.ts";
import { KeptSessions } from "./kept_sessions.ts";
import { OnnxRuntimeError, OnnxRuntimeSession, reason } from "./onnxruntime_session.ts";
import type { ModelGraph, OpenOptions, Runtime, RuntimeTraits, Session } from "./runtime.ts";

/** The part of the library's API in use. */
export interface OnnxRuntimeLibrary {
  /** Opens graphs. */
  readonly InferenceSession: InferenceSessionFactory;
}

/** Options of {@linkcode OnnxRuntimeWeb}. */
export interface OnnxRuntimeWebOptions {
  /**
   * The device that runs graphs: WebAssembly, or a GPU, which needs the library's entry point
   * `onnxruntime-web/webgpu`.
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
 * ONNX Runtime's web library. Weights are fetched by byte range when a graph opens, from the server of the
 * checkpoint (`openHttpSource`). Here too, a model that streams has the weights of only one layer in memory
 * at a time.
 *
 * @example Usage
 * ```ts ignore
 * // not run: needs ONNX Runtime's web library
 * import * as ort from "onnxruntime-web/wasm";
 * import { OnnxRuntimeWeb } from "./onnxruntime_web.ts";
 *
 * const runtime = new OnnxRuntimeWeb(ort, { device: "cpu" });
 * ```
 */
export class OnnxRuntimeWeb implements Runtime {
  /** The device that runs graphs. */
  readonly device: "cpu" | "webgpu";
  /** Properties of the device. */
  readonly traits: RuntimeTraits;
  readonly #library: OnnxRuntimeLibrary;
  readonly #fetch: typeof fetch;
  readonly #kept = new KeptSessions();

  /**
   * @param library `onnxruntime-web`, or one of its entry points such as `onnxruntime-web/wasm`.
   * @param options Device, and how to fetch weights.
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
   * @throws {OnnxRuntimeError} if ONNX Runtime refuses the graph or does not find the device.
   */
  async open(graph: ModelGraph, options: OpenOptions = {}): Promise<Session> {
    options.signal?.throwIfAborted();
    const create = () => this.#create(graph, options);
    return options.keep ? await this.#kept.open(graph, create) : await create();
  }

  /** Releases the kept sessions. */
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

  /** Fetches the weights that a graph names. Adjacent ones are fetched together. */
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
