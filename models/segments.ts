// This module is browser compatible.

/**
 * Models that are cut into segments: graphs that are run one after the other, each taking what it needs of what came
 * before by name.
 *
 * @module
 */

import { z } from "zod";
import { releaseBuffer, type Tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { Runtime, Session } from "../runtime/runtime.ts";
import type { BuiltGraph, ComputeType } from "./onnx/graph_builder.ts";

/** How a model is cut. */
export interface SegmentOptions {
  /** Layers in one graph; all of them by default. Results are the same, bit for bit, whatever it is. */
  readonly layersPerSegment?: number | undefined;
  /**
   * What the products of a transformer's blocks with weights are computed in; all else is in float32.
   *
   * @default {"float32"}
   */
  readonly computeType?: ComputeType | undefined;
  /** Which inner values become outputs, by name; none by default. */
  readonly exposed?: ((name: string) => boolean) | undefined;
}

/**
 * How long a model's weights are held.
 *
 * - `stage`: all segments are opened once and kept until the release.
 * - `stream`: each call opens a segment, runs it and releases it before the next.
 * - `resident`: as `stage`, and the runtime keeps them beyond the release, for the next model that opens them.
 *
 * What is computed is the same, bit for bit.
 */
export type Residency = "stream" | "stage" | "resident";

/** The schema of {@linkcode Residency}. */
export const residencySchema = z.enum(["stream", "stage", "resident"]);

/** All residencies, the leanest first. */
export const RESIDENCIES: readonly Residency[] = residencySchema.options;

/** A segment is about to be opened. */
export interface LoadProgress {
  /** Name of its graph. */
  readonly graph: string;
  /** Which segment it is, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly total: number;
  /** Bytes of the weights that it refers to. */
  readonly bytes: number;
}

/** How a model is opened. */
export interface OpenModelOptions {
  /**
   * How long its weights are held.
   *
   * @default {"stage"}
   */
  readonly residency?: Residency | undefined;
  /** Layers in one graph. Default is one when streaming, else all. */
  readonly layersPerSegment?: number | undefined;
  /**
   * Whether operators take their memory from a pool; see the runtime.
   *
   * @default {true}
   */
  readonly memoryPool?: boolean | undefined;
  /** Is called for each segment before it is opened. */
  readonly onLoad?: ((progress: LoadProgress) => void) | undefined;
  /** Stops the opening. */
  readonly signal?: AbortSignal | undefined;
}

/** How a model is called. */
export interface CallOptions {
  /** Stops the call between two segments. */
  readonly signal?: AbortSignal | undefined;
}

/** A run of layers. */
export interface LayerRange {
  /** The first layer. */
  readonly first: number;
  /** One past the last layer. */
  readonly end: number;
}

/**
 * Cuts layers into runs of at most `layersPerSegment`.
 *
 * @throws {InputError} if `layersPerSegment` is not a whole number above 0.
 */
export function layerRanges(layers: number, layersPerSegment: number = layers): LayerRange[] {
  if (!(Number.isSafeInteger(layersPerSegment) && layersPerSegment > 0)) {
    throw new InputError(
      "out_of_range",
      `Cannot cut a model as layers per segment must be whole and > 0: current value is ${layersPerSegment}`,
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
   * Whether runs that lack one of its inputs pass it over.
   *
   * @default {false}
   */
  readonly isOptional?: boolean | undefined;
  /** For an output the value in whose place it comes for the segments behind; in its own by default. */
  readonly replaces?: Readonly<Record<string, string>> | undefined;
}

/** Segments that are run one after the other, and the sessions that are open for them. */
export class SegmentedModel implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #graphs: readonly Segment[];
  readonly #options: OpenModelOptions;
  readonly #lastUse: ReadonlyMap<string, number>;
  readonly #kept: Session[] = [];

  /**
   * Opens nothing: each call opens a segment, runs it and releases it.
   *
   * @param runtime Opens the graphs.
   * @param graphs The segments, in the order of the calculation.
   * @param options How they are opened; `layersPerSegment` has been applied before.
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
   * @param graphs The segments, in the order of the calculation.
   * @param options How they are opened; `layersPerSegment` has been applied before.
   * @returns The model; with residency `stage` all its segments are open.
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
   * @param feeds Inputs of the segments that no segment before gives.
   * @param options A signal, looked at before each segment.
   * @returns The outputs that no later segment takes.
   */
  async run(
    feeds: Readonly<Record<string, Tensor>>,
    options: CallOptions = {},
  ): Promise<Record<string, Tensor>> {
    const [outputs] = await this.runEach([feeds], options);
    return outputs!;
  }

  /**
   * Runs all segments on several inputs, one after the other in each segment: one that streams is opened once for all.
   *
   * @param feeds For each run the inputs of the segments that no segment before gives.
   * @param options A signal, looked at before each run of a segment.
   * @returns For each run the outputs that no later segment takes.
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
            // Activations of all blocks would wait for the collector else.
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

  /** Gives the memory back; calling it again does nothing. */
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
    const keep = residency === "resident";
    return await this.#runtime.open(graph, { memoryPool, keep, signal });
  }
}
