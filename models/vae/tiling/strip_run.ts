// This module is browser compatible.

/**
 * Runs a picture through an autoencoder in strips. Every group normalization uses mean and variance of the
 * whole picture, gathered in an earlier pass over all strips. Every convolution sees the rows around its
 * strip.
 *
 * @module
 */

import { releaseBuffer, type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { Runtime, Session } from "../../../runtime/runtime.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { BuiltGraph } from "../../onnx/graph_builder.ts";
import type { OpenModelOptions } from "../../segments.ts";
import { NORM_EPSILON } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { channelsOf, mapStatistics, rowsOf } from "./feature_map_layout.ts";
import { FeatureMaps, mapBytes } from "./feature_maps.ts";
import { GroupStatistics } from "./group_statistics.ts";
import type { SeamlessStep } from "./seamless_plan.ts";
import {
  type Downsampler,
  NORMS,
  outputChannels,
  sourceConvOf,
  stripGraph,
  type StripTask,
} from "./strip_graph.ts";
import { doubledRows, type RowRange, sourceRows, type StripRows, strips } from "./strips.ts";

/** Approximate size of the widest feature maps of a strip. */
const STRIP_BYTES = 8 << 20;
const LEAST_STRIP = 8;
/** Number of strips that a graph's values and the copies of its inputs and outputs take at a time. */
const STRIPS_IN_WORK = 6;
/** Number of rows above and below that a whole residual block and a convolution before it see. */
const MOST_HALO = 3;
/** Options for splitting a picture into strips. */
export interface StripRunOptions extends Pick<OpenModelOptions, "onLoad"> {
  /** Number of rows per strip at each size. The default is as many as fill 8 MiB. */
  readonly stripRows?: number | undefined;
}

/** The inputs and outputs of one pass over the strips. */
interface Pass {
  readonly task: StripTask;
  readonly source: FeatureMaps;
  readonly inner?: FeatureMaps | undefined;
  readonly norms: Readonly<Record<string, GroupStatistics>>;
  /** Destination of the strips; absent if only their statistics are needed. */
  readonly target?: FeatureMaps | undefined;
  /** Number of rows that the destination keeps; all by default. */
  readonly keptRows?: number | undefined;
  /** Destination of the shortcut, if wanted. */
  readonly skip?: FeatureMaps | undefined;
  /** Whether no later pass needs the inputs. Their rows are then released as soon as they have been read. */
  readonly isLast: boolean;
  /** The strips to run, by index; all by default. */
  readonly range?: { readonly first: number; readonly end: number };
  /** Statistics of the strips before these. */
  readonly gathered?: GroupStatistics;
}

/** The state of one picture while it passes through an autoencoder. */
export class StripRun {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #options: StripRunOptions;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new Set<FeatureMaps>();
  #maps: FeatureMaps | undefined;
  #statistics: GroupStatistics;
  #opened = 0;

  /**
   * @param runtime Opens the graphs.
   * @param config The autoencoder.
   * @param weights The autoencoder's weights.
   * @param options Rows per strip, and a progress callback.
   * @param signal Abort signal, checked before each strip.
   */
  constructor(
    runtime: Runtime,
    config: AutoencoderKLConfig,
    weights: Weights,
    options: StripRunOptions,
    signal: AbortSignal | undefined,
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
    this.#signal = signal;
    this.#statistics = new GroupStatistics(config.norm_num_groups);
  }

  /** Sets the initial feature maps or the picture, [1, channels, rows, width]. */
  begin({ data, shape }: Tensor<"float32">): void {
    const [, channels = 0, rows = 0, width = 0] = shape;
    this.#maps = this.#hold(rowsOf(data, { rows, channels, width }));
    // A picture has fewer channels than groups. It needs no statistics because a convolution precedes its
    // first norm.
    if (channels % this.#config.norm_num_groups === 0) {
      this.#statistics = mapStatistics(data, this.#config.norm_num_groups);
    }
  }

  /** Runs one residual block with the convolution before it. */
  async resnet(
    { resnet, sourceConv, sizes, keepsSource, innerRows, keepsSkip }: SeamlessStep,
  ): Promise<void> {
    const create = (channels = sizes.channels) => this.#hold(new FeatureMaps({ ...sizes, channels }));
    let source = this.#maps!;
    let first = this.#statistics;
    let virtual = sourceConv;
    if (sourceConv) {
      const task = { kind: "source", sourceConv } as const;
      const target = keepsSource ? create(sourceConv.channels) : undefined;
      first = await this.#pass({ task, source, norms: {}, target, isLast: keepsSource });
      if (target) {
        source = target;
        virtual = undefined;
      }
    }
    const norms = { [NORMS.first]: first };
    const task = { sourceConv: virtual, resnet };
    const inner = innerRows > 0 ? create() : undefined;
    const skip = keepsSkip ? create() : undefined;
    const second = await this.#pass({
      task: { kind: "inner", ...task, skipWanted: keepsSkip },
      source,
      norms,
      target: inner,
      keptRows: innerRows,
      skip,
      isLast: keepsSkip,
    });
    await this.#outer(skip ?? source, inner, { ...norms, [NORMS.second]: second }, {
      kind: "outer",
      ...task,
      skipStored: keepsSkip,
    }, create());
  }

  /** Runs the rest of a residual block: first where its inner feature maps are stored, then elsewhere. */
  async #outer(
    source: FeatureMaps,
    inner: FeatureMaps | undefined,
    norms: Readonly<Record<string, GroupStatistics>>,
    task: Omit<StripTask & { kind: "outer" }, "innerStored">,
    target: FeatureMaps,
  ): Promise<void> {
    const all = this.#strips({ ...task, innerStored: false }, source);
    const stored = inner?.strips.at(-1)?.end ?? 0;
    const split = all.filter(({ end }) => Math.min(end + 1, target.rows) <= stored).length;
    const pass = { source, target, isLast: true };
    let gathered = new GroupStatistics(this.#config.norm_num_groups);
    if (split > 0) {
      const { [NORMS.second]: second } = norms;
      gathered = await this.#pass({
        ...pass,
        task: { ...task, innerStored: true },
        inner,
        norms: { [NORMS.second]: second! },
        range: { first: 0, end: split },
        gathered,
      });
    }
    inner?.release();
    if (split < all.length) {
      gathered = await this.#pass({
        ...pass,
        task: { ...task, innerStored: false },
        norms,
        range: { first: split, end: all.length },
        gathered,
      });
    }
    this.#statistics = gathered;
    this.#maps = target;
  }

  /** Halves the size of the feature maps. */
  async downsample(downsampler: Downsampler): Promise<void> {
    const source = this.#maps!;
    const { rows, width, channels } = source;
    const target = this.#hold(new FeatureMaps({ rows: rows >> 1, width: width >> 1, channels }));
    this.#statistics = await this.#pass({
      task: { kind: "downsample", downsampler },
      source,
      norms: {},
      target,
      isLast: true,
    });
    this.#maps = target;
  }

  /** Runs the decoder's last norm and convolution. */
  async end(outChannels: number): Promise<void> {
    const source = this.#maps!;
    const { rows, width, channels } = source;
    const target = this.#hold(new FeatureMaps({ rows, width, channels: outChannels }));
    await this.#pass({
      task: { kind: "end", channels },
      source,
      norms: { [NORMS.first]: this.#statistics },
      target,
      isLast: true,
    });
    this.#maps = target;
  }

  /** Returns a copy of the current feature maps, [1, channels, rows, width]. */
  maps(): Tensor<"float32"> {
    const maps = this.#maps!;
    return tensor("float32", [1, maps.channels, maps.rows, maps.width], channelsOf(maps));
  }

  /** Releases the memory of all feature maps. */
  release(): void {
    for (const maps of this.#held) maps.release();
  }

  /** Runs a graph over the whole picture in one piece. */
  async runWhole(
    graph: BuiltGraph,
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<Record<string, Tensor>> {
    await using session = await this.#open(graph, false);
    return await session.run(feeds);
  }

  /** Runs a graph over several inputs in turn. */
  async *runEach(
    graph: BuiltGraph,
    inputs: Iterable<Readonly<Record<string, Tensor>>>,
  ): AsyncGenerator<Record<string, Tensor>> {
    await using session = await this.#open(graph, false);
    for (const feeds of inputs) {
      this.#signal?.throwIfAborted();
      yield await session.run(feeds);
    }
  }

  /** Runs a graph over strips and gathers the statistics of its output. */
  async #pass(pass: Pass): Promise<GroupStatistics> {
    const { task, source, inner, norms, target, skip, isLast } = pass;
    const { norm_num_groups: groups } = this.#config;
    const { graph, channels, halo } = stripGraph(this.#config, this.#weights, task, target !== undefined);
    const { rows, width } = stripSizes(task, source);
    const wanted = (strip: RowRange, halo: number): StripRows =>
      task.kind === "downsample"
        ? doubledRows(strip, source.rows)
        : sourceRows(strip, rows, halo, sourceConvOf(task)?.doubles === true);
    const all = this.#strips(task, source);
    const { range = { first: 0, end: all.length }, gathered = new GroupStatistics(groups) } = pass;
    const feeds = normFeeds(norms);
    await this.#runtime.giveBackMemory?.();
    reserve(target, skip);
    // A whole block over doubled rows needs more memory than any other strip, and runs when feature maps are
    // at their largest.
    const isLargest = task.kind === "outer" && !task.innerStored && task.sourceConv?.doubles === true;
    await using session = await this.#open(graph, !isLargest);
    for (let index = range.first; index < range.end; index++) {
      this.#signal?.throwIfAborted();
      const strip = all[index]!;
      const next = all[index + 1];
      const here = wanted(strip, halo.source);
      feeds["source"] = source.read(here.first, here.end);
      if (session.inputs.includes("source_crop")) feeds["source_crop"] = cropFeed(here.crop);
      if (isLast) source.releaseAbove(next ? wanted(next, MOST_HALO).first : source.rows);
      if (inner) {
        const hereInner = sourceRows(strip, rows, halo.inner, false);
        feeds["inner"] = inner.read(hereInner.first, hereInner.end);
        feeds["inner_crop"] = cropFeed(hereInner.crop);
        if (isLast) inner.releaseAbove(next ? sourceRows(next, rows, halo.inner, false).first : rows);
      }
      const { strip: values, skip: skipped, mean, squares } = await session.run(feeds);
      if (values && strip.end <= (pass.keptRows ?? rows)) target?.append(values as Tensor<"float32">);
      else if (values) releaseBuffer(values.data.buffer);
      skip?.append(skipped as Tensor<"float32">);
      if (mean && squares) {
        const count = (strip.end - strip.first) * width * channels / groups;
        gathered.add((mean as Tensor<"float32">).data, (squares as Tensor<"float32">).data, count);
      }
    }
    if (isLast && range.end === all.length) source.release();
    return gathered;
  }

  /**
   * Splits the rows of a task into strips. They, and with them the rounding of statistics, do not depend on
   * what is stored.
   */
  #strips(task: StripTask, source: FeatureMaps): RowRange[] {
    const { rows, width } = stripSizes(task, source);
    const read = task.kind === "outer" && task.skipStored ? task.resnet.input : source.channels;
    const values = Math.max(width * outputChannels(task, this.#config), width * read, source.width * read);
    const fitting = Math.max(LEAST_STRIP, Math.floor(STRIP_BYTES / (4 * values)));
    return strips(rows, this.#options.stripRows ?? fitting);
  }

  /** Opens a graph. Strips are faster with a memory pool; without one, feature maps are freed sooner. */
  async #open(graph: BuiltGraph, memoryPool: boolean): Promise<Session> {
    this.#options.onLoad?.({
      graph: graph.name,
      index: this.#opened++,
      total: this.#opened,
      bytes: graph.weightBytes,
    });
    return await this.#runtime.open(graph, {
      memoryPool,
      signal: this.#signal,
    });
  }

  #hold(maps: FeatureMaps): FeatureMaps {
    this.#held.add(maps);
    return maps;
  }
}

/**
 * Throws if memory does not suffice for feature maps and the strips that a graph works on. Memory costs nothing
 * as long as nothing is written to it. onnxruntime-node ends the process if it cannot allocate a strip.
 *
 * @throws {RangeError} if memory does not suffice.
 */
function reserve(...maps: readonly (FeatureMaps | undefined)[]): void {
  const bytes = maps.reduce((sum, one) => sum + (one ? mapBytes(one) : 0), STRIPS_IN_WORK * STRIP_BYTES);
  releaseBuffer(new ArrayBuffer(bytes));
}

/** Returns the number of rows of a task's output, and their width. */
function stripSizes(task: StripTask, { rows, width }: FeatureMaps): { rows: number; width: number } {
  if (sourceConvOf(task)?.doubles) return { rows: 2 * rows, width: 2 * width };
  return task.kind === "downsample" ? { rows: rows >> 1, width: width >> 1 } : { rows, width };
}

function normFeeds(norms: Readonly<Record<string, GroupStatistics>>): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(norms).flatMap(([name, statistics]): [string, Tensor][] => [
      [`${name}.mean`, statistics.means()],
      [`${name}.scale`, statistics.scales(NORM_EPSILON)],
    ]),
  );
}

function cropFeed([first, end]: readonly [number, number]): Tensor<"int64"> {
  return tensor("int64", [2], BigInt64Array.of(BigInt(first), BigInt(end)));
}
