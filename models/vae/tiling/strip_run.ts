// This module is browser compatible.

/**
 * Runs a picture through an autoencoder in strips. Every group normalization uses mean and variance of the
 * whole picture, gathered in an earlier pass over all strips. Every convolution sees the rows around its
 * strip.
 *
 * @module
 */

import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { Runtime, Session } from "../../../runtime/runtime.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { BuiltGraph } from "../../onnx/graph_builder.ts";
import type { OpenModelOptions } from "../../segments.ts";
import { NORM_EPSILON } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { channelsOf, mapStatistics, rowsOf } from "./feature_map_layout.ts";
import { FeatureMaps } from "./feature_maps.ts";
import { GroupStatistics } from "./group_statistics.ts";
import type { SeamlessStep } from "./seamless_plan.ts";
import { type Downsampler, NORMS, sourceConvOf, stripGraph, type StripTask } from "./strip_graph.ts";
import { doubledRows, sourceRows, type StripRows, strips } from "./strips.ts";

/** Approximate size of the widest feature maps of a strip. */
const STRIP_BYTES = 16 << 20;
const LEAST_STRIP = 8;
/**
 * Number of rows by which feature maps move up when they are overwritten: the rows above that a whole
 * residual block sees.
 */
const OVERWRITE_ROWS = 2;

/** Options for splitting a picture into strips. */
export interface StripRunOptions extends Pick<OpenModelOptions, "onLoad"> {
  /** Number of rows per strip at each size. The default is as many as fill 16 MiB. */
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
}

/** The state of one picture while it passes through an autoencoder. */
export class StripRun {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #options: StripRunOptions;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new Set<FeatureMaps>();
  readonly #slack: number;
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
    this.#slack = OVERWRITE_ROWS * (config.layers_per_block + 1);
    this.#statistics = new GroupStatistics(config.norm_num_groups);
  }

  /** Sets the initial feature maps or the picture, [1, channels, rows, width]. */
  begin({ data, shape }: Tensor<"float32">): void {
    const [, channels = 0, rows = 0, width = 0] = shape;
    this.#maps = this.#hold(new FeatureMaps({ rows, channels, width }));
    rowsOf(data, this.#maps);
    // A picture has fewer channels than groups. It needs no statistics because a convolution precedes its
    // first norm.
    if (channels % this.#config.norm_num_groups === 0) {
      this.#statistics = mapStatistics(data, this.#config.norm_num_groups);
    }
  }

  /** Runs one residual block with the convolution before it. */
  async resnet({ resnet, sourceConv, sizes, keepsSource, keepsInner }: SeamlessStep): Promise<void> {
    let source = this.#maps!;
    let first = this.#statistics;
    let virtual = sourceConv;
    if (sourceConv) {
      const target = keepsSource
        ? this.#hold(new FeatureMaps({ ...sizes, channels: sourceConv.channels }))
        : undefined;
      first = await this.#pass({ task: { kind: "source", sourceConv }, source, norms: {}, target });
      if (target) {
        source.release();
        source = target;
        virtual = undefined;
      }
    }
    const norms = { [NORMS.first]: first };
    const task = { sourceConv: virtual, resnet };
    const inner = keepsInner ? this.#hold(new FeatureMaps(sizes, this.#slack)) : undefined;
    const second = await this.#pass({ task: { kind: "inner", ...task }, source, norms, target: inner });
    const overwritten = inner ? inner.movedUp(1) : source.movedUp(OVERWRITE_ROWS);
    this.#statistics = await this.#pass({
      task: { kind: "outer", ...task, innerStored: inner !== undefined },
      source,
      inner,
      norms: { ...(inner ? {} : norms), [NORMS.second]: second },
      target: overwritten,
    });
    if (inner) source.release();
    this.#maps = overwritten;
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
    });
    source.release();
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
    });
    source.release();
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

  /** Runs a graph over all strips and gathers the statistics of its output. */
  async #pass({ task, source, inner, norms, target }: Pass): Promise<GroupStatistics> {
    const { norm_num_groups: groups } = this.#config;
    const { graph, channels, halo } = stripGraph(this.#config, this.#weights, task, target !== undefined);
    const doubles = sourceConvOf(task)?.doubles === true;
    const scaled = (size: number): number =>
      doubles ? 2 * size : task.kind === "downsample" ? size >> 1 : size;
    const rows = scaled(source.rows);
    const width = scaled(source.width);
    const gathered = new GroupStatistics(groups);
    const feeds = normFeeds(norms);
    await using session = await this.#open(graph, true);
    const widest = Math.max(width * channels, width * source.channels, source.width * source.channels);
    for (const strip of strips(rows, this.#stripRows(widest))) {
      this.#signal?.throwIfAborted();
      const wanted: StripRows = task.kind === "downsample"
        ? doubledRows(strip, source.rows)
        : sourceRows(strip, rows, halo.source, doubles);
      feeds["source"] = source.view(wanted.first, wanted.end);
      if (session.inputs.includes("source_crop")) feeds["source_crop"] = cropFeed(wanted.crop);
      if (inner) {
        const wantedInner = sourceRows(strip, rows, halo.inner, false);
        feeds["inner"] = inner.view(wantedInner.first, wantedInner.end);
        feeds["inner_crop"] = cropFeed(wantedInner.crop);
      }
      const outputs = target ? { strip: target.view(strip.first, strip.end) } : {};
      const { mean, squares } = await session.run(feeds, { outputs });
      if (mean && squares) {
        const count = (strip.end - strip.first) * width * channels / groups;
        gathered.add((mean as Tensor<"float32">).data, (squares as Tensor<"float32">).data, count);
      }
    }
    return gathered;
  }

  #stripRows(rowValues: number): number {
    const rows = Math.floor(STRIP_BYTES / (4 * rowValues));
    return this.#options.stripRows ?? Math.max(LEAST_STRIP, rows);
  }

  /**
   * Opens a graph. Strips are small enough for a memory pool; without one, the middle block's feature maps
   * are freed sooner.
   */
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
