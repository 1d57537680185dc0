// This module is browser compatible.

/**
 * Models that are split into segments: graphs that run in sequence. Each segment takes its inputs, by name,
 * from the outputs of earlier segments.
 *
 * @module
 */

import { z } from "zod";
import { releaseBuffer, type Tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import type { BuiltGraph, ComputeType } from "./onnx/graph_builder.ts";

/** Options for splitting a model. */
export interface SegmentOptions {
  /** Number of layers per graph; all of them by default. Results do not depend on it, bit for bit. */
  readonly layersPerSegment?: number | undefined;
  /**
   * Compute type of the layers that contain nearly all weights. On a device that accumulates in float32,
   * float16 costs only the rounding of each result.
   *
   * @default {"float32"}
   */
  readonly computeType?: ComputeType | undefined;
  /** Selects, by name, the inner values that become outputs; none by default. */
  readonly exposed?: ((name: string) => boolean) | undefined;
}

/**
 * How long a model keeps its weights in memory. Results are the same, bit for bit.
 *
 * - `stage`: opens all segments once and keeps them until the release.
 * - `stream`: each call opens a segment, runs it, and releases it before the next one.
 * - `resident`: like `stage`, but the runtime keeps the segments after the release for the next model that
 *   opens them.
 */
export type Residency = "stream" | "stage" | "resident";

/** The schema of {@linkcode Residency}. */
export const residencySchema = z.enum(["stream", "stage", "resident"]);

/** All residencies, smallest memory first. */
export const RESIDENCIES: readonly Residency[] = residencySchema.options;

/** Progress report sent before a segment is opened. */
export interface LoadProgress {
  /** Name of the segment's graph. */
  readonly graph: string;
  /** Zero-based index of the segment. */
  readonly index: number;
  /** Number of segments. */
  readonly total: number;
  /** Bytes of the weights that the segment references. */
  readonly bytes: number;
}

/** Options for opening a model. */
export interface OpenModelOptions {
  /**
   * Residency of the model's weights.
   *
   * @default {"stage"}
   */
  readonly residency?: Residency | undefined;
  /** Number of layers per graph. The default is one when streaming, otherwise all. */
  readonly layersPerSegment?: number | undefined;
  /**
   * Whether operators allocate memory from a pool; see the runtime.
   *
   * @default {true}
   */
  readonly memoryPool?: boolean | undefined;
  /** Called before each segment is opened. */
  readonly onLoad?: ((progress: LoadProgress) => void) | undefined;
  /** Signal that aborts opening. */
  readonly signal?: AbortSignal | undefined;
}

/** Options for calling a model. */
export interface CallOptions {
  /** Signal that aborts the call between two segments. */
  readonly signal?: AbortSignal | undefined;
}

/** A contiguous range of layers. */
export interface LayerRange {
  /** The first layer. */
  readonly first: number;
  /** One past the last layer. */
  readonly end: number;
}

/**
 * Splits layers into ranges of at most `layersPerSegment`.
 *
 * @throws {InputError} if `layersPerSegment` is not a positive integer.
 */
export function layerRanges(layers: number, layersPerSegment: number = layers): LayerRange[] {
  if (!(Number.isSafeInteger(layersPerSegment) && layersPerSegment > 0)) {
    throw new InputError(
      "out_of_range",
      `layersPerSegment must be a whole number above 0: current value is ${layersPerSegment}`,
    );
  }
  return Array.from({ length: Math.ceil(layers / layersPerSegment) }, (_, index) => ({
    first: index * layersPerSegment,
    end: Math.min((index + 1) * layersPerSegment, layers),
  }));
}

/** A segment of a model. */
export interface Segment extends BuiltGraph {
  /**
   * Whether runs that lack one of its inputs skip it.
   *
   * @default {false}
   */
  readonly isOptional?: boolean | undefined;
  /** For each output, the name under which later segments see it; its own name by default. */
  readonly replaces?: Readonly<Record<string, string>> | undefined;
}

/** Segments that run in sequence, with their open sessions. */
export class SegmentedModel implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #graphs: readonly Segment[];
  readonly #options: OpenModelOptions;
  readonly #lastUse: ReadonlyMap<string, number>;
  readonly #kept: Session[] = [];

  /**
   * Creates a model without opening any segment: each call opens a segment, runs it, and releases it.
   *
   * @param runtime Opens the graphs.
   * @param graphs The segments in execution order.
   * @param options How to open them. The caller has already applied `layersPerSegment`.
   */
  constructor(runtime: Runtime, graphs: readonly Segment[], options: OpenModelOptions = {}) {
    this.#runtime = runtime;
    this.#graphs = graphs;
    this.#options = options;
    this.#lastUse = new Map(graphs.flatMap(({ inputs }, index) => inputs.map((name) => [name, index])));
  }

  /**
   * Opens the segments of a model.
   *
   * @param runtime Opens the graphs.
   * @param graphs The segments in execution order.
   * @param options How to open them. The caller has already applied `layersPerSegment`.
   * @returns The model. All its segments are open unless the residency is `stream`.
   */
  static async open(
    runtime: Runtime,
    graphs: readonly Segment[],
    options: OpenModelOptions = {},
  ): Promise<SegmentedModel> {
    const model = new SegmentedModel(runtime, graphs, options);
    if (options.residency === "stream") return model;
    try {
      for (const index of graphs.keys()) model.#kept.push(await model.#open(index, options.signal));
      return model;
    } catch (error) {
      await model.release();
      throw error;
    }
  }

  /**
   * Runs all segments.
   *
   * @param feeds Inputs that no earlier segment produces.
   * @param options Abort signal, checked before each segment.
   * @returns The outputs that no later segment consumes.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    options: CallOptions = {},
  ): Promise<Record<string, Tensor>> {
    const [outputs] = await this.runEach([feeds], options);
    return outputs!;
  }

  /**
   * Runs all segments on several inputs. Each segment processes the inputs in turn, so a streamed segment is
   * opened once for all of them.
   *
   * @param feeds For each run, the inputs that no earlier segment produces.
   * @param options Abort signal, checked before each run of a segment.
   * @returns For each run, the outputs that no later segment consumes.
   */
  async runEach(
    feeds: readonly Readonly<Record<string, Tensor>>[],
    options: CallOptions = {},
  ): Promise<Record<string, Tensor>[]> {
    const runs = feeds.map((given) => ({ values: new Map(Object.entries(given)), made: new Set<string>() }));
    for (const [index, { inputs, isOptional = false, replaces = {} }] of this.#graphs.entries()) {
      options.signal?.throwIfAborted();
      const due = runs.filter(({ values }) => !isOptional || inputs.every((name) => values.has(name)));
      if (due.length === 0) continue;
      const kept = this.#kept[index];
      const session = kept ?? await this.#open(index, options.signal);
      try {
        for (const { values, made } of due) {
          options.signal?.throwIfAborted();
          const given = inputs.flatMap((name): [string, Tensor][] => {
            const value = values.get(name);
            return value ? [[name, value]] : [];
          });
          const outputs = await session.run(Object.fromEntries(given));
          for (const [output, value] of Object.entries(outputs)) {
            const name = replaces[output] ?? output;
            if (made.has(name)) releaseBuffer(values.get(name)!.data.buffer);
            values.set(name, value);
            made.add(name);
          }
          for (const name of inputs) {
            if (this.#lastUse.get(name) !== index) continue;
            // Without this, the activations of all blocks would wait for the garbage collector.
            if (made.has(name)) releaseBuffer(values.get(name)!.data.buffer);
            values.delete(name);
          }
        }
      } finally {
        if (session !== kept) await session.release();
      }
    }
    return runs.map(({ values }) => Object.fromEntries(values));
  }

  /** Releases the sessions and their memory. Calling it again has no effect. */
  async release(): Promise<void> {
    for (const session of this.#kept) await session.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #open(index: number, signal: AbortSignal | undefined): Promise<Session> {
    const graph = this.#graphs[index]!;
    const { onLoad, residency, memoryPool = true } = this.#options;
    onLoad?.({ graph: graph.name, index, total: this.#graphs.length, bytes: graph.weightBytes });
    return await this.#runtime.open(graph, {
      memoryPool,
      keep: residency === "resident",
      isShortLived: residency === "stream",
      signal,
    });
  }
}
