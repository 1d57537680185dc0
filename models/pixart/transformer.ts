// This module is browser compatible.

/**
 * PixArt's diffusion transformer as ONNX graphs. Chen et al., "PixArt-α: Fast Training of Diffusion
 * Transformer for Photorealistic Text-to-Image Synthesis" (https://arxiv.org/abs/2310.00426), figure 4;
 * reference: diffusers/models/transformers/pixart_transformer_2d.py.
 *
 * A graph processes one picture. The two guidance branches run in turn or both at once, each with the real
 * tokens of its text.
 *
 * @module
 */

import { tensor } from "../../artifacts/tensor.ts";
import { absorbedAttention } from "./absorbed_attention.ts";
import { feedForward } from "./feed_forward.ts";
import { float16Block, type Float16BlockOptions } from "./float16_block.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { Layers } from "../layers.ts";
import type { ByteAttention } from "../../runtime/runtime.ts";
import { attention } from "../onnx/attention.ts";
import { type BuiltGraph, type ComputeType, GraphBuilder, type Value } from "../onnx/graph_builder.ts";
import { integerAttention } from "../onnx/integer_attention.ts";
import type { PixArtTransformerConfig } from "./transformer_config.ts";
import { type LayerRange, layerRanges } from "../segments.ts";
import {
  blockModule,
  FIRST_RESIDUAL,
  hiddenName,
  keyName,
  PERTURBED,
  type PixArtOptions,
  ROW_PARTS,
  SCORE_PARTS,
  secondName,
  TEXT,
  TEXT_LENGTHS,
  valueName,
} from "./transformer_options.ts";
import { TIMESTEP_CHANNELS } from "./timestep_embedding.ts";

/** Epsilon of the normalization before the output; fixed in the reference. */
const FINAL_NORM_EPSILON = 1e-6;

/**
 * Builds the part that depends only on the text and runs once per prompt: `encoder_hidden_states` [tokens,
 * caption channels] → the keys and values of each block's cross-attention, [tokens, width] each, or the
 * projected {@linkcode TEXT} if each prediction computes keys and values.
 */
export function pixartTextGraph(
  config: PixArtTransformerConfig,
  weights: Weights,
  options: PixArtOptions = {},
): BuiltGraph {
  const transformer = new PixArtLayers(config, weights, options);
  transformer.text();
  return transformer.graph.build(`${weights.component}.text`);
}

/**
 * Builds one prediction in segments of `layersPerSegment` blocks. The output is `sample` [branches, out
 * channels, h, w]. The inputs are:
 *
 * - `latents` [1, channels, h, w], `position_columns` [columns, width / 2], `position_rows` [rows, width / 2]
 *   and `timestep` [1, 256].
 * - `resolution` [2, 256] and `aspect_ratio` [1, 256], if the configuration has size conditions.
 * - Each block's keys and values, or the projected {@linkcode TEXT}: [tokens, width] per branch. If the
 *   residual stream is float16, one tensor [branches, tokens, width] with its {@linkcode TEXT_LENGTHS}
 *   instead.
 * - {@linkcode ROW_PARTS}, if rows are split, and {@linkcode SCORE_PARTS}, if self-attention multiplies bytes.
 * - {@linkcode PERTURBED}, if there are perturbable self-attentions.
 */
export function pixartStepSegments(
  config: PixArtTransformerConfig,
  weights: Weights,
  options: PixArtOptions = {},
  afterBlock: AfterBlock = (_transformer, _block, hidden) => hidden,
): BuiltGraph[] {
  return stepRanges(config.num_layers, options).map(({ first, end }, index, { length }) => {
    const transformer = new PixArtLayers(config, weights, options);
    const tokens = ["tokens", transformer.width] as const;
    const g = transformer.graph;

    const isFirst = first === 0;
    const isLast = index === length - 1;
    const latents = isFirst || isLast
      ? g.input("latents", "float32", [1, config.in_channels, "h", "w"])
      : undefined;
    const condition = isFirst ? transformer.condition() : {
      timestep: g.input("embedded_timestep", "float32", [1, transformer.width]),
      modulation: g.input("modulation", "float32", [1, 6 * transformer.width]),
    };
    let hidden = isFirst && latents
      ? transformer.embed(latents)
      : g.input(hiddenName(first), transformer.computeType, tokens);
    const before = hidden;
    for (let block = first; block < end; block++) {
      hidden = transformer.block(block, hidden, condition.modulation);
      hidden = afterBlock(transformer, block, hidden, condition.modulation);
    }
    if (isLast && latents) {
      const sample = transformer.final(hidden, condition.timestep, latents);
      g.output("sample", sample, [options.guidanceBranches ?? 1, config.out_channels, "h", "w"]);
    } else {
      g.output(hiddenName(end), hidden, tokens, transformer.computeType);
    }
    if (isFirst && options.cachesSteps) {
      g.output(FIRST_RESIDUAL, g.op("Sub", [hidden, before]), tokens, transformer.computeType);
    }
    if (isFirst && !isLast) {
      g.output("embedded_timestep", condition.timestep, [1, transformer.width]);
      g.output("modulation", condition.modulation, [1, 6 * transformer.width]);
    }
    // Preparing weights pays off: each block runs for every step and guidance branch.
    const name = first === end ? "final" : `blocks.${first}-${end - 1}`;
    return g.build(`${weights.component}.${name}`, { prepareWeights: true });
  });
}

/** Adds to the rows [tokens, width] that a block returns, in the block's own graph. */
export type AfterBlock = (
  transformer: PixArtLayers,
  block: number,
  hidden: Value,
  modulation: Value,
) => Value;

/** Returns the range of blocks of each segment. */
function stepRanges(
  layers: number,
  { layersPerSegment, separateBlocks = 0, cachesSteps }: PixArtOptions,
): LayerRange[] {
  const separate = cachesSteps ? 1 : separateBlocks;
  const rest = layers === separate ? [] : layerRanges(layers - separate, layersPerSegment);
  return [
    ...layerRanges(separate, 1),
    ...rest.map(({ first, end }) => ({ first: separate + first, end: separate + end })),
    ...(cachesSteps ? [{ first: layers, end: layers }] : []),
  ];
}

/** Builds the layers, in the order of the paper's figure. */
export class PixArtLayers {
  readonly graph: GraphBuilder;
  readonly width: number;
  /** Compute type of the blocks. */
  readonly computeType: ComputeType;
  readonly #config: PixArtTransformerConfig;
  readonly #layers: Layers;
  /** The layers of the blocks that contain nearly all weights and take nearly all time. */
  readonly #large: Layers;
  readonly #projectsText: boolean;
  readonly #givesText: boolean;
  readonly #guidanceBranches: 1 | 2;
  readonly #shortText: boolean;
  readonly #splitsRows: boolean;
  readonly #multipliesBytes: boolean;
  readonly #byteAttention: ByteAttention;
  readonly #perturbable: readonly string[];

  /**
   * @param config The transformer's configuration.
   * @param weights Weights of the layers.
   * @param options Options for building the graph.
   * @param graph The graph to which layers are added; a new one by default.
   */
  constructor(
    config: PixArtTransformerConfig,
    weights: Weights,
    options: PixArtOptions,
    graph: GraphBuilder = new GraphBuilder(options.exposed, options),
  ) {
    this.#config = config;
    this.#guidanceBranches = options.guidanceBranches ?? 1;
    this.#shortText = options.shortText ?? false;
    this.#splitsRows = options.splitsRows ?? false;
    this.#multipliesBytes = options.multipliesBytes ?? false;
    this.#byteAttention = this.#multipliesBytes ? options.byteAttention ?? "all" : "none";
    this.#perturbable = options.perturbable ?? [];
    this.width = config.num_attention_heads * config.attention_head_dim;
    this.graph = graph;
    this.computeType = options.computeType ?? "float32";
    this.#projectsText = options.projectsText ?? false;
    this.#givesText = options.givesText ?? false;
    this.#layers = new Layers(this.graph, weights);
    this.#large = new Layers(this.graph, weights, this.computeType, options.weightType);
  }

  /** Projects the caption, and computes each block's keys and values unless each prediction does. */
  text(): void {
    const { caption_channels, text_channels, cross_attention_dim, num_layers } = this.#config;
    const g = this.graph;
    let text = g.input("encoder_hidden_states", "float32", ["tokens", text_channels]);
    if (caption_channels !== null) {
      const inner = this.#layers.linear("caption_projection.linear_1", text, caption_channels, this.width);
      text = this.#layers.linear("caption_projection.linear_2", g.geluTanh(inner), this.width, this.width);
      g.probe("caption_projection", text, ["tokens", this.width]);
    }
    if (this.#projectsText || this.#givesText) g.output(TEXT, text, ["tokens", cross_attention_dim]);
    if (!this.#projectsText) {
      this.keysAndValues(
        text,
        Array.from({ length: num_layers }, (_, i) => blockModule(i)),
      );
    }
  }

  /** Outputs each block's keys and values of the projected text. */
  keysAndValues(text: Value, modules: readonly string[]): void {
    const g = this.graph;
    for (const module of modules) {
      const [key, value] = this.#keyAndValue(this.#layers, module, text);
      g.output(keyName(module), key, ["tokens", this.width]);
      g.output(valueName(module), value, ["tokens", this.width]);
    }
  }

  /** Projects a text to the keys and values of a block's cross-attention. */
  #keyAndValue(layers: Layers, module: string, text: Value): [key: Value, value: Value] {
    const { cross_attention_dim, attention_bias } = this.#config;
    const project = (name: string) =>
      layers.linear(
        `${module}.attn2.${name}`,
        text,
        cross_attention_dim,
        this.width,
        { bias: attention_bias },
      );
    return [project("to_k"), project("to_v")];
  }

  /**
   * Projects patches and adds position embeddings: the first half of a row's values encodes the column, the
   * second half the row.
   */
  embed(latents: Value): Value {
    const { in_channels, patch_size } = this.#config;
    const g = this.graph;
    const embedding = (side: string) =>
      g.shared(`position_${side}`, () => g.input(`position_${side}`, "float32", [side, this.width / 2]));
    const [columns, rowsOf] = [embedding("columns"), embedding("rows")];
    const patches = this.#layers.conv("pos_embed.proj", latents, {
      input: in_channels,
      output: this.width,
      kernel: patch_size,
      stride: BigInt(patch_size),
    });
    const grid = g.concat([g.op("Shape", [patches], { start: 2n }), g.int64s([this.width / 2])], 0);
    const position = g.concat(
      [
        g.op("Expand", [columns, grid]),
        g.op("Expand", [g.op("Unsqueeze", [rowsOf, g.int64s([1])]), grid]),
      ],
      2,
    );
    const rows = g.add(
      g.transpose(g.reshape(patches, [this.width, -1]), [1, 0]),
      g.reshape(position, [-1, this.width]),
    );
    const all = this.#guidanceBranches === 1 ? rows : g.concat([rows, rows], 0);
    return this.#narrow(g.probe("pos_embed", all, ["tokens", this.width]));
  }

  /**
   * Embeds the timestep, and the size if the model is conditioned on it, as one vector and as the six
   * modulation vectors (adaLN-single).
   */
  condition(): { timestep: Value; modulation: Value } {
    const g = this.graph;
    let timestep = this.#embedSinusoids("timestep", 1, this.width);
    if (this.#config.use_additional_conditions) {
      const third = Math.floor(this.width / 3);
      const resolution = g.reshape(this.#embedSinusoids("resolution", 2, third), [1, 2 * third]);
      const aspectRatio = this.#embedSinusoids("aspect_ratio", 1, third);
      timestep = g.add(timestep, g.concat([resolution, aspectRatio], 1));
    }
    g.probe("embedded_timestep", timestep, [1, this.width]);
    const modulation = this.#layers.linear(
      "adaln_single.linear",
      g.silu(timestep),
      this.width,
      6 * this.width,
    );
    g.probe("adaln_single", modulation, [1, 6 * this.width]);
    return { timestep, modulation };
  }

  /**
   * Adds self-attention, cross-attention and the feed-forward layer to the residual stream.
   *
   * @param index Index of the block.
   * @param hidden Rows [tokens, width].
   * @param modulation Modulation vectors from the condition.
   * @param module Its module; that of the transformer by default.
   */
  block(index: number, hidden: Value, modulation: Value, module: string = blockModule(index)): Value {
    const { num_attention_heads: heads, attention_bias: bias, norm_eps, activation_fn } = this.#config;
    const [g, large, width] = [this.graph, this.#large, this.width];
    const tokens = ["tokens", width] as const;
    const table = g.reshape(this.#layers.weight(`${module}.scale_shift_table`, [6, width]), [1, 6 * width]);
    const modulations = g.add(g.reshape(g.add(table, modulation), [-1]), this.#ones([0, 1, 0, 0, 1, 0]));
    const [shift, scale, gate, shiftFf, scaleFf, gateFf] = g.split(
      this.#narrow(modulations),
      0,
      Array(6).fill(width),
    ) as [Value, Value, Value, Value, Value, Value];
    if (this.computeType === "float16") {
      return float16Block(large, hidden, { shift, scale, gate, shiftFf, scaleFf, gateFf }, {
        module,
        width,
        heads,
        bias,
        epsilon: norm_eps,
        activation: activation_fn,
        perturb: (value, attend) => this.#perturb(module, value, attend),
        ...this.#textBatch(),
      });
    }

    const normed = g.layerNorm(hidden, scale, shift, norm_eps);
    const project = (name: string) => large.linear(`${module}.attn1.${name}`, normed, width, width, { bias });
    const seen = this.#perturb(
      module,
      () => project("to_v"),
      (value) => this.#attendToSelf(project("to_q"), project("to_k"), value()),
    );
    const attended = (gate?: Value) => large.linear(`${module}.attn1.to_out.0`, seen, width, width, { gate });
    hidden = g.add(hidden, this.#gated(`block.${index}/attn1`, gate, attended));

    const crossed = g.probe(`block.${index}/attn2`, this.#attendToText(module, hidden), tokens);
    hidden = g.add(hidden, crossed);

    const normedFf = g.layerNorm(hidden, scaleFf, shiftFf, norm_eps);
    const feed = { module: `${module}.ff`, width, activation: activation_fn, parts: this.#rowParts() };
    const fed = this.#gated(
      `block.${index}/ff`,
      gateFf,
      (gate) => feedForward(large, normedFf, { ...feed, gate, multipliesBytes: this.#multipliesBytes }),
    );
    return g.probe(`block.${index}`, g.add(hidden, fed), tokens);
  }

  /** Multiplies the output of a layer by a gate. Layers that fold it do not compute the marked value. */
  #gated(name: string, gate: Value, layer: (gate?: Value) => Value): Value {
    if (this.#multipliesBytes) return layer(gate);
    return this.graph.mul(this.graph.probe(name, layer(), ["tokens", this.width]), gate);
  }

  /** Returns the number of parts of the rows, int64 [1], if rows are split. */
  #rowParts(): Value | undefined {
    const g = this.graph;
    return this.#splitsRows ? g.shared(ROW_PARTS, () => g.input(ROW_PARTS, "int64", [1])) : undefined;
  }

  /** Returns whether there are rows enough to multiply bytes wherever possible, a boolean [1]. */
  #hasManyRows(): Value | undefined {
    const g = this.graph;
    const parts = this.#multipliesBytes ? this.#rowParts() : undefined;
    return parts && g.shared("many rows", () => g.op("Greater", [parts, g.int64s([1])]));
  }

  /** Lets rows attend to all rows of their guidance branch, with scores from float32 or from bytes. */
  #attendToSelf(query: Value, key: Value, value: Value): Value {
    const { num_attention_heads: heads, attention_head_dim: size } = this.#config;
    const g = this.graph;
    if (this.#byteAttention === "none") {
      return attention(g, query, key, value, { heads, sequences: this.#guidanceBranches });
    }
    const counts = g.shared(SCORE_PARTS, () => g.input(SCORE_PARTS, "int64", [2]));
    const count = (index: number) =>
      g.shared(
        `${SCORE_PARTS}.${index}`,
        () => g.op("Slice", [counts, g.int64s([index]), g.int64s([index + 1])]),
      );
    const [groups, parts] = [count(0), count(1)];
    const weights = this.#byteAttention === "all" ? "bytes" : "float32";
    return integerAttention(g, query, key, value, { heads, size, groups, parts, weights });
  }

  /**
   * Returns the output of self-attention. If it is perturbed, each token attends only to itself, so queries
   * and keys are not computed.
   */
  #perturb(module: string, value: () => Value, attend: (value: () => Value) => Value): Value {
    const g = this.graph;
    if (!this.#perturbable.includes(`${module}.attn1`)) return attend(value);
    const perturbed = g.shared(PERTURBED, () => g.input(PERTURBED, "bool", []));
    const own = value();
    return g.choose(perturbed, () => own, () => attend(() => own), this.computeType, ["tokens", this.width]);
  }

  /** Lets each guidance branch attend to its own text. The texts can differ in length. */
  #attendToText(block: string, hidden: Value): Value {
    const { num_attention_heads: heads, attention_bias: bias } = this.#config;
    const [g, width] = [this.graph, this.width];
    const module = `${block}.attn2`;
    const texts = this.#texts(block);
    const each = (rows: Value, attend: (rows: Value, key: Value, value: Value) => Value) => {
      const branches = this.#guidanceBranches === 1 ? [rows] : g.splitEvenly(rows, 0, this.#guidanceBranches);
      const attended = branches.map((branch, index) => attend(branch, texts[index]![0]!, texts[index]![1]!));
      return this.#guidanceBranches === 1 ? attended[0]! : g.concat(attended, 0);
    };
    if (this.#shortText) {
      const given = { module, heads, width, bias, hasManyRows: this.#hasManyRows() };
      return each(
        hidden,
        (rows, key, value) => absorbedAttention(this.#large, rows, { ...given, key, value }),
      );
    }
    const query = this.#large.linear(`${module}.to_q`, hidden, width, width, { bias });
    const attended = each(query, (rows, key, value) => attention(g, rows, key, value, { heads }));
    return this.#large.linear(`${module}.to_out.0`, attended, width, width);
  }

  /** Declares the texts of all branches as one input tensor. */
  #textBatch(): Pick<Float16BlockOptions, "branches" | "text" | "textWidth" | "textLengths"> {
    const { cross_attention_dim: textWidth } = this.#config;
    const g = this.graph;
    const branches = this.#guidanceBranches;
    const input = () => g.input(TEXT, "float32", [branches, "text_tokens", textWidth]);
    const text = g.shared(TEXT, () => g.reshape(this.#narrow(input()), [-1, textWidth]));
    const textLengths = g.shared(TEXT_LENGTHS, () => g.input(TEXT_LENGTHS, "int32", [branches]));
    return { branches, text, textWidth, textLengths };
  }

  /** Returns the keys and values of each branch's text. */
  #texts(module: string): [key: Value, value: Value][] {
    const g = this.graph;
    const dims = (branch: number) => [`text_tokens.${branch}`, this.width];
    return Array.from({ length: this.#guidanceBranches }, (_, branch) => {
      const named = (name: string) => branch === 0 ? name : secondName(name);
      if (!this.#projectsText) {
        const [key, value] = [keyName(module), valueName(module)]
          .map((name) => g.input(named(name), "float32", dims(branch)));
        return [key!, value!];
      }
      const { cross_attention_dim } = this.#config;
      const text = g.shared(
        named(TEXT),
        () => g.input(named(TEXT), "float32", [`text_tokens.${branch}`, cross_attention_dim]),
      );
      return this.#keyAndValue(this.#large, module, text);
    });
  }

  /** Multiplies rows [tokens, width] by a square matrix with the blocks' precision. */
  project(module: string, rows: Value): Value {
    const { width } = this;
    return this.#large.linear(module, rows, width, width);
  }

  /** Normalizes and projects the rows, and reassembles the patches to the size of the latents. */
  final(hidden: Value, timestep: Value, latents: Value): Value {
    const { patch_size, out_channels } = this.#config;
    const g = this.graph;
    const channels = patch_size * patch_size * out_channels;
    const table = this.#layers.weight("scale_shift_table", [2, this.width]);
    const modulations = g.add(g.reshape(g.add(table, timestep), [-1]), this.#ones([0, 1]));
    const [shift, scale] = g.split(modulations, 0, [this.width, this.width]);
    const rows = this.computeType === "float32" ? hidden : g.cast(hidden, "float32");
    const normed = g.layerNorm(rows, scale!, shift!, FINAL_NORM_EPSILON);
    const patches = this.#layers.linear("proj_out", normed, this.width, channels);
    g.probe("proj_out", patches, ["tokens", channels]);
    const size = g.op("Shape", [latents], { start: 2n });
    const grid = g.op("Div", [size, g.int64s([patch_size])]);
    const shape = g.concat([g.int64s([this.#guidanceBranches]), grid, g.int64s([channels])], 0);
    const maps = g.transpose(g.reshape(patches, shape), [0, 3, 1, 2]);
    return g.op("DepthToSpace", [maps], { blocksize: BigInt(patch_size), mode: "DCR" });
  }

  /** Applies linear, SiLU, linear to sinusoids that are an input of the graph. */
  #embedSinusoids(name: string, rows: number, width: number): Value {
    const module = `adaln_single.emb.${name}_embedder`;
    const sinusoids = this.graph.input(name, "float32", [rows, TIMESTEP_CHANNELS]);
    const inner = this.#layers.linear(`${module}.linear_1`, sinusoids, TIMESTEP_CHANNELS, width);
    return this.#layers.linear(`${module}.linear_2`, this.graph.silu(inner), width, width);
  }

  /** Casts from float32 to the compute type of the blocks. */
  #narrow(x: Value): Value {
    return this.computeType === "float32" ? x : this.graph.cast(x, this.computeType);
  }

  /** Returns the constants to add to concatenated modulation vectors: the condition's scales lack an added 1. */
  #ones(vectors: readonly number[]): Value {
    const g = this.graph;
    return g.shared(`ones:${vectors}`, () => {
      const data = Float32Array.from(
        { length: vectors.length * this.width },
        (_, i) => vectors[Math.floor(i / this.width)]!,
      );
      return g.constant(tensor("float32", [data.length], data));
    });
  }
}
