// This module is browser compatible.

/**
 * Graphs that compute a strip of an autoencoder's feature maps: some rows of a picture, plus rows above and
 * below that convolutions see. Norms receive mean and variance of the whole picture as inputs.
 *
 * @module
 */

import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { Layers } from "../../layers.ts";
import { type BuiltGraph, GraphBuilder, type Value } from "../../onnx/graph_builder.ts";

/**
 * A convolution that precedes a residual block: the encoder's first, or one that doubles the feature maps.
 */
export interface SourceConv {
  /** Name of the module. */
  readonly module: string;
  /** Number of input channels. */
  readonly input: number;
  /** Number of output channels. */
  readonly channels: number;
  /** Whether the size of the feature maps is doubled first. */
  readonly doubles: boolean;
}

/** A convolution that halves the size of the feature maps. */
export interface Downsampler {
  /** Name of the module. */
  readonly module: string;
  /** Number of input and output channels. */
  readonly channels: number;
}

/** A residual block. */
export interface Resnet {
  /** Name of the module. */
  readonly module: string;
  /** Number of input channels. */
  readonly input: number;
  /** Number of output channels. */
  readonly output: number;
}

/** The computation of a strip graph. */
export type StripTask =
  /** The source convolution. */
  | { readonly kind: "source"; readonly sourceConv: SourceConv }
  /** A residual block up to its first convolution. Its shortcut is a second output if `skipWanted`. */
  | {
    readonly kind: "inner";
    readonly sourceConv?: SourceConv | undefined;
    readonly resnet: Resnet;
    readonly skipWanted: boolean;
  }
  /**
   * A residual block. The output of its first convolution is an input if `innerStored`, and the output of its
   * shortcut is the source if `skipStored`.
   */
  | {
    readonly kind: "outer";
    readonly sourceConv?: SourceConv | undefined;
    readonly resnet: Resnet;
    readonly innerStored: boolean;
    readonly skipStored: boolean;
  }
  /** The convolution that halves the size. */
  | { readonly kind: "downsample"; readonly downsampler: Downsampler }
  /** The decoder's last norm and convolution. */
  | { readonly kind: "end"; readonly channels: number };

/** A strip graph with the number of rows that it reads. */
export interface StripGraph {
  readonly graph: BuiltGraph;
  /** Number of output channels. */
  readonly channels: number;
  /**
   * Number of rows that convolutions see above and below, counted after any doubling: in the source, and in
   * stored inner feature maps.
   */
  readonly halo: { readonly source: number; readonly inner: number };
}

/** Input names of the norms of a graph. */
export const NORMS = { first: "norm1", second: "norm2" } as const;

/**
 * Builds a strip graph. Inputs: `source` [rows, channels, width] and `source_crop` int64 [2]; `inner` and
 * `inner_crop` if stored; `norm1.mean`, `norm1.scale` and so on [groups]. Outputs: `strip` [rows, channels,
 * width] if `wanted`; `skip` of the same shape if the task wants it; `mean` and `squares` [groups] of the strip
 * if a norm follows.
 *
 * @param config The autoencoder's configuration.
 * @param weights The autoencoder's weights.
 * @param task The computation.
 * @param wanted Whether the strip itself is an output, instead of only its statistics.
 */
export function stripGraph(
  config: AutoencoderKLConfig,
  weights: Weights,
  task: StripTask,
  wanted = true,
): StripGraph {
  const builder = new StripBuilder(config, weights);
  const source = builder.source(task);
  const sourceConv = sourceConvOf(task);
  // `sourceRows` already includes the neighbours that doubling needs.
  const before = sourceConv && !sourceConv.doubles ? 1 : 0;
  switch (task.kind) {
    case "source":
      return builder.finish(task, source, task.sourceConv.channels, wanted, { source: before, inner: 0 });
    case "downsample": {
      const { channels } = task.downsampler;
      return builder.finish(task, builder.half(task.downsampler, source), channels, wanted, {
        source: 0,
        inner: 0,
      });
    }
    case "end": {
      const { out_channels } = config;
      return builder.finish(task, builder.end(source, task.channels), out_channels, wanted, {
        source: 1,
        inner: 0,
      });
    }
    case "inner": {
      const inner = builder.inner(task.resnet, source);
      if (task.skipWanted) builder.outputSkip(task.resnet, source);
      return builder.finish(task, inner, task.resnet.output, wanted, { source: 1 + before, inner: 0 });
    }
    case "outer": {
      const { resnet, innerStored } = task;
      const strip = builder.outer(task, source);
      const halo = innerStored ? { source: before, inner: 1 } : { source: 2 + before, inner: 0 };
      return builder.finish(task, strip, resnet.output, wanted, halo);
    }
  }
}

class StripBuilder {
  readonly #config: AutoencoderKLConfig;
  readonly #graph = new GraphBuilder();
  readonly #layers: Layers;
  readonly #component: string;
  /** Whether the result has already been cropped. */
  #cropped = false;

  constructor(config: AutoencoderKLConfig, weights: Weights) {
    this.#config = config;
    this.#layers = new Layers(this.#graph, weights);
    this.#component = weights.component;
  }

  /** Adds the stored feature maps as an input, followed by the task's source convolution, if any. */
  source(task: StripTask): Value {
    const stored = this.#maps("source", sourceChannels(task));
    const sourceConv = sourceConvOf(task);
    if (!sourceConv) return stored;
    const { module, input, channels, doubles } = sourceConv;
    const sizes = { input, output: channels };
    return this.#sized(
      "convolved source",
      doubles ? this.#layers.upsampleConv(module, stored, sizes) : this.#layers.conv(module, stored, sizes),
      channels,
    );
  }

  /**
   * Halves the size of the feature maps. Zero padding is added only at the bottom and the right, as in the
   * reference.
   */
  half({ module, channels }: Downsampler, source: Value): Value {
    this.#cropped = true;
    const pads = [0n, 0n, 1n, 1n];
    return this.#layers.conv(module, source, { input: channels, output: channels, stride: 2n, pads });
  }

  /** Applies norm, SiLU and the first convolution of a residual block. */
  inner({ module, input, output }: Resnet, source: Value): Value {
    const normed = this.#norm(NORMS.first, `${module}.norm1`, source, input);
    const inner = this.#layers.conv(`${module}.conv1`, this.#graph.silu(normed), { input, output });
    return this.#sized("inner", inner, output);
  }

  /** Computes the whole residual block, cropped. */
  outer(task: StripTask & { kind: "outer" }, source: Value): Value {
    const { resnet, innerStored } = task;
    const { module, output } = resnet;
    // ONNX Runtime computes the input of the sum first whose nodes come later. A skip that is stored can wait
    // until the end. One that is computed comes first, and its source makes room for the convolutions.
    const stored = this.#storedSkip(task);
    const inner = innerStored ? this.#maps("inner", output) : this.inner(resnet, source);
    const normed = this.#norm(NORMS.second, `${module}.norm2`, inner, output);
    const outer = this.#layers.conv(`${module}.conv2`, this.#graph.silu(normed), { input: output, output });
    const skip = stored ?? this.#skip(resnet, source);
    const sum = this.#graph.add(skip, this.#crop(outer, innerStored ? "inner" : "source"));
    this.#cropped = true;
    return sum;
  }

  /** Outputs what a residual block adds to the result of its convolutions. */
  outputSkip(resnet: Resnet, source: Value): void {
    this.#output("skip", this.#skip(resnet, source), resnet.output);
  }

  /** Crops stored feature maps to what a residual block adds to the result of its convolutions. */
  #storedSkip({ resnet, sourceConv, skipStored }: StripTask & { kind: "outer" }): Value | undefined {
    if (!skipStored && (sourceConv || resnet.input !== resnet.output)) return undefined;
    const cropped = this.#sliced({ name: "source" }, "source", 0);
    return this.#sized("cropped", this.#channelsFirst(cropped), resnet.output);
  }

  #skip({ module, input, output }: Resnet, source: Value): Value {
    const cropped = this.#crop(source, "source");
    return input === output
      ? cropped
      : this.#layers.conv(`${module}.conv_shortcut`, cropped, { input, output, kernel: 1 });
  }

  /** Applies the decoder's last norm and convolution. */
  end(source: Value, channels: number): Value {
    const normed = this.#norm(NORMS.first, "decoder.conv_norm_out", source, channels);
    return this.#layers.conv("decoder.conv_out", this.#graph.silu(normed), {
      input: channels,
      output: this.#config.out_channels,
    });
  }

  /** Crops the strip and declares the outputs. */
  finish(
    task: StripTask,
    value: Value,
    channels: number,
    wanted: boolean,
    halo: StripGraph["halo"],
  ): StripGraph {
    const g = this.#graph;
    const strip = this.#cropped ? value : this.#crop(value, "source");
    if (task.kind !== "end") this.#statistics(strip);
    if (wanted) this.#output("strip", strip, channels);
    return { graph: g.build(`${this.#component}.${moduleOf(task)}.${task.kind}`), channels, halo };
  }

  /** Outputs a value [1, channels, rows, width] as feature maps. */
  #output(name: string, value: Value, channels: number): void {
    const g = this.#graph;
    const rows = g.transpose(g.op("Squeeze", [value, g.int64s([0])]), [1, 0, 2]);
    g.output(name, rows, ["rows", channels, "width"]);
  }

  /**
   * Outputs the mean of each group and the sum of squared deviations from it. It reduces first within each
   * row of a feature map, then over the rows: ONNX Runtime accumulates in float32, where a sum of a million
   * values would lose digits.
   */
  #statistics(strip: Value): void {
    const g = this.#graph;
    const groups = this.#config.norm_num_groups;
    const [withinRow, overRows] = [g.int64s([3]), g.int64s([1])];
    const rowMeans = g.reshape(g.op("ReduceMean", [strip, withinRow], { keepdims: 1n }), [groups, -1]);
    const mean = g.op("ReduceMean", [rowMeans, overRows], { keepdims: 1n });
    const centred = g.reshapeLike(g.op("Sub", [g.reshape(strip, [groups, -1]), mean]), strip);
    const rowSquares = g.op("ReduceSumSquare", [centred, withinRow], { keepdims: 1n });
    const squares = g.op("ReduceSum", [g.reshape(rowSquares, [groups, -1]), overRows], { keepdims: 0n });
    g.output("mean", g.reshape(mean, [groups]), [groups]);
    g.output("squares", squares, [groups]);
  }

  /** Declares feature maps as an input and returns them as [1, channels, rows, width]. */
  #maps(name: string, channels: number): Value {
    const g = this.#graph;
    return this.#channelsFirst(
      g.input(name, "float32", [`rows of ${name}`, channels, `width of ${name}`]),
    );
  }

  /** Lays out feature maps as [1, channels, rows, width]. */
  #channelsFirst(maps: Value): Value {
    return this.#graph.op("Unsqueeze", [this.#graph.transpose(maps, [1, 0, 2]), this.#graph.int64s([0])]);
  }

  /**
   * Declares that values of this name have the same number of rows and the same width. ONNX Runtime cannot
   * tell for convolutions, and reuses memory only for values of equal shape.
   */
  #sized(name: string, value: Value, channels: number): Value {
    return this.#graph.shaped(value, [1, channels, `rows of ${name}`, `width of ${name}`]);
  }

  /** Crops a value to the requested rows. */
  #crop(value: Value, name: string): Value {
    return this.#sliced(value, name, 2);
  }

  #sliced(value: Value, name: string, axis: number): Value {
    const g = this.#graph;
    const [first, end] = g.split(this.#cropInput(name), 0, [1, 1]);
    return g.op("Slice", [value, first, end, g.int64s([axis])]);
  }

  readonly #crops = new Map<string, Value>();

  #cropInput(name: string): Value {
    const known = this.#crops.get(name);
    if (known) return known;
    const value = this.#graph.input(`${name}_crop`, "int64", [2]);
    this.#crops.set(name, value);
    return value;
  }

  /**
   * Applies group normalization with the statistics of the whole picture. Statistics and weights are folded
   * into one scale and one shift per channel.
   */
  #norm(input: string, module: string, x: Value, channels: number): Value {
    const g = this.#graph;
    const groups = this.#config.norm_num_groups;
    const grouped = (name: string): Value =>
      g.reshape(this.#layers.weight(`${module}.${name}`, [channels]), [groups, -1]);
    const perGroup = (name: string): Value =>
      g.reshape(g.input(`${input}.${name}`, "float32", [groups]), [groups, 1]);
    const scale = g.mul(grouped("weight"), perGroup("scale"));
    const shift = g.op("Sub", [grouped("bias"), g.mul(perGroup("mean"), scale)]);
    const perChannel = (value: Value): Value => g.reshape(value, [1, channels, 1, 1]);
    return g.add(g.mul(x, perChannel(scale)), perChannel(shift));
  }
}

/** Returns the source convolution of a task, if any. */
export function sourceConvOf(task: StripTask): SourceConv | undefined {
  return task.kind === "end" || task.kind === "downsample" ? undefined : task.sourceConv;
}

/** Returns the number of channels of a task's output. */
export function outputChannels(task: StripTask, config: AutoencoderKLConfig): number {
  switch (task.kind) {
    case "source":
      return task.sourceConv.channels;
    case "downsample":
      return task.downsampler.channels;
    case "end":
      return config.out_channels;
    default:
      return task.resnet.output;
  }
}

/** Returns the number of channels of the stored feature maps that a task reads. */
function sourceChannels(task: StripTask): number {
  switch (task.kind) {
    case "end":
      return task.channels;
    case "source":
      return task.sourceConv.input;
    case "downsample":
      return task.downsampler.channels;
    case "outer":
      if (task.skipStored) return task.resnet.output;
      return task.sourceConv?.input ?? task.resnet.input;
    case "inner":
      return task.sourceConv?.input ?? task.resnet.input;
  }
}

/** Returns the name of a task's module. */
function moduleOf(task: StripTask): string {
  switch (task.kind) {
    case "end":
      return "end";
    case "source":
      return task.sourceConv.module;
    case "downsample":
      return task.downsampler.module;
    default:
      return task.resnet.module;
  }
}
