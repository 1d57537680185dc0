// This module is browser compatible.

/**
 * Decodes a picture strip by strip without seams: every group normalization takes mean and variance of the whole picture,
 * gathered in a pass over all strips before it, and every convolution sees the rows around its strip. What comes out is
 * what one piece would give, but for rounding. The idea of taking the norms' statistics over all tiles: Tiled VAE of
 * https://github.com/pkuliyi2015/multidiffusion-upscaler-for-automatic1111.
 *
 * @module
 */

import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { Runtime, Session } from "../../../runtime/runtime.ts";
import { autoencoderKLDecoderStart, NORM_EPSILON } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { BuiltGraph } from "../../onnx/graph_builder.ts";
import type { CallOptions, OpenModelOptions } from "../../segments.ts";
import { GroupStatistics } from "./group_statistics.ts";
import { channelsOf, mapStatistics, rowsOf } from "./feature_map_layout.ts";
import { FeatureMaps } from "./feature_maps.ts";
import { planSeamless, type SeamlessStep } from "./seamless_plan.ts";
import { NORMS, stripGraph, type StripTask } from "./strip_graph.ts";
import { sourceRows, strips } from "./strips.ts";

/** The widest feature maps of a strip are about this large. */
const STRIP_BYTES = 16 << 20;
const LEAST_STRIP = 8;
/** Rows by which feature maps move up when they are overwritten: what a whole residual block sees above. */
const OVERWRITE_ROWS = 2;
/**
 * Scores of the middle block's attention that are held at a time on a GPU. It has one head of 512 channels, for which
 * WebGPU has no kernel that holds a part of a query's scores.
 */
const GPU_SCORE_BYTES = 64 << 20;

/** How a picture is decoded without seams. */
export interface SeamlessOptions extends Pick<OpenModelOptions, "onLoad"> {
  /**
   * Bytes of feature maps that may be held at a time; the more, the less is computed twice. The least possible by
   * default.
   */
  readonly mapBytes?: number | undefined;
  /** Rows of a strip at each size; as many as give 16 MiB by default. */
  readonly stripRows?: number | undefined;
}

/** What one pass over the strips takes and gives. */
interface Pass {
  readonly task: StripTask;
  readonly source: FeatureMaps;
  readonly inner?: FeatureMaps | undefined;
  readonly norms: Readonly<Record<string, GroupStatistics>>;
  /** Where the strips go; nowhere if only their statistics are wanted. */
  readonly target?: FeatureMaps | undefined;
}

/** A decoder that holds no weights between calls. */
export class SeamlessDecoder {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #options: SeamlessOptions;

  /**
   * @param runtime Opens the graphs.
   * @param config The autoencoder.
   * @param weights Its weights.
   * @param options How much memory feature maps may take.
   */
  constructor(
    runtime: Runtime,
    config: AutoencoderKLConfig,
    weights: Weights,
    options: SeamlessOptions = {},
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
  }

  /**
   * Decodes latents.
   *
   * @param latents [1, latent channels, h, w], divided by the scaling factor.
   * @param options A signal, looked at before each strip.
   * @returns [1, 3, H, W], in about [-1, 1], not clamped.
   */
  async decode(latents: Tensor<"float32">, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const [, , height = 0, width = 0] = latents.shape;
    const { steps } = planSeamless(this.#config, { height, width }, this.#options.mapBytes);
    const call = new SeamlessCall(this.#runtime, this.#config, this.#weights, this.#options, options.signal);
    try {
      await call.start(latents);
      for (const step of steps) await call.resnet(step);
      return await call.end();
    } finally {
      call.release();
    }
  }
}

/** One picture on its way through the decoder. */
class SeamlessCall {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #options: SeamlessOptions;
  readonly #signal: AbortSignal | undefined;
  readonly #held = new Set<FeatureMaps>();
  readonly #slack: number;
  #maps: FeatureMaps | undefined;
  #statistics: GroupStatistics;
  #opened = 0;

  constructor(
    runtime: Runtime,
    config: AutoencoderKLConfig,
    weights: Weights,
    options: SeamlessOptions,
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

  /** Latents through the middle block, in one piece: feature maps are small there, and attention sees all of them. */
  async start(latents: Tensor<"float32">): Promise<void> {
    const [, , height = 0, wide = 0] = latents.shape;
    const queryParts = this.#runtime.traits.hostMemory ? 1 : scoreParts(height * wide);
    await using session = await this.#open(
      autoencoderKLDecoderStart(this.#config, this.#weights, { queryParts }),
      false,
    );
    const { hidden } = await session.run({ latents });
    const { data, shape } = hidden as Tensor<"float32">;
    const [, channels = 0, rows = 0, width = 0] = shape;
    this.#maps = this.#hold(new FeatureMaps({ rows, channels, width }));
    rowsOf(data, this.#maps);
    this.#statistics = mapStatistics(data, this.#config.norm_num_groups);
  }

  /** One residual block, with the doubling before it. */
  async resnet({ resnet, upsampler, sizes, keepsUpsampled, keepsInner }: SeamlessStep): Promise<void> {
    let source = this.#maps!;
    let first = this.#statistics;
    let virtual = upsampler;
    if (upsampler) {
      const target = keepsUpsampled
        ? this.#hold(new FeatureMaps({ ...sizes, channels: upsampler.channels }))
        : undefined;
      first = await this.#pass({ task: { kind: "upsample", upsampler }, source, norms: {}, target });
      if (target) {
        source.release();
        source = target;
        virtual = undefined;
      }
    }
    const norms = { [NORMS.first]: first };
    const task = { upsampler: virtual, resnet };
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

  /** The last norm and convolution. */
  async end(): Promise<Tensor<"float32">> {
    const source = this.#maps!;
    const { rows, width, channels } = source;
    const target = this.#hold(new FeatureMaps({ rows, width, channels: this.#config.out_channels }));
    await this.#pass({
      task: { kind: "end", channels },
      source,
      norms: { [NORMS.first]: this.#statistics },
      target,
    });
    source.release();
    return tensor("float32", [1, target.channels, rows, width], channelsOf(target));
  }

  /** Gives all feature maps back. */
  release(): void {
    for (const maps of this.#held) maps.release();
  }

  /** Runs a graph over all strips and gathers the statistics of what comes out. */
  async #pass({ task, source, inner, norms, target }: Pass): Promise<GroupStatistics> {
    const { norm_num_groups: groups } = this.#config;
    const { graph, channels, halo } = stripGraph(this.#config, this.#weights, task, target !== undefined);
    const doubled = task.kind !== "end" && task.upsampler !== undefined;
    const rows = doubled ? 2 * source.rows : source.rows;
    const width = doubled ? 2 * source.width : source.width;
    const gathered = new GroupStatistics(groups);
    const feeds = normFeeds(norms);
    await using session = await this.#open(graph, true);
    for (const strip of strips(rows, this.#stripRows(width, Math.max(source.channels, channels)))) {
      this.#signal?.throwIfAborted();
      const wanted = sourceRows(strip, rows, halo.source, doubled);
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

  #stripRows(width: number, channels: number): number {
    const rows = Math.floor(STRIP_BYTES / (4 * width * channels));
    return this.#options.stripRows ?? Math.max(LEAST_STRIP, rows);
  }

  /** Strips are small enough for a pool; the middle block's feature maps go back sooner without one. */
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

/** Parts of equal size, but for the last, into which queries are cut so that their scores take little memory. */
function scoreParts(points: number): number {
  const rows = Math.max(1, Math.floor(GPU_SCORE_BYTES / (Float32Array.BYTES_PER_ELEMENT * points)));
  return Math.ceil(points / Math.ceil(points / Math.ceil(points / rows)));
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
