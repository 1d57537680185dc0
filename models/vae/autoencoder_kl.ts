// This module is browser compatible.

/**
 * Latent diffusion's autoencoder as ONNX graphs. Rombach et al., "High-Resolution Image Synthesis with Latent
 * Diffusion Models" (https://arxiv.org/abs/2112.10752); reference:
 * diffusers/models/autoencoders/autoencoder_kl.py and vae.py.
 *
 * @module
 */

import type { AutoencoderKLConfig } from "./autoencoder_kl_config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { normalizeGroups } from "./group_norm.ts";
import { type ConvOptions, Layers } from "../layers.ts";
import { attention } from "../onnx/attention.ts";
import { type BuiltGraph, type ComputeType, GraphBuilder, type Value } from "../onnx/graph_builder.ts";
import { layerRanges, type SegmentOptions } from "../segments.ts";

/** Constant added to variances; fixed in the reference. */
export const NORM_EPSILON = 1e-6;

/** Names of the attention's layers in old checkpoints. */
const OLD_NAMES = { to_q: "query", to_k: "key", to_v: "value", "to_out.0": "proj_attn" } as const;

/** Options for building the graphs. */
export interface AutoencoderOptions extends SegmentOptions {
  /**
   * Number of parts into which the queries of the middle block's attention are split. The parts run in turn,
   * which limits the attention scores in memory on devices that store all of them.
   *
   * @default {1}
   */
  readonly queryParts?: number | undefined;
}

/**
 * Builds the decoder in segments of `layersPerSegment` up blocks: `latents` [1, latent channels, h, w],
 * divided by the scaling factor → `sample` [1, out channels, H, W], about -1 to 1.
 */
export function autoencoderKLDecoderSegments(
  config: AutoencoderKLConfig,
  weights: Weights,
  options: AutoencoderOptions = {},
): BuiltGraph[] {
  const channels = [...config.block_out_channels].reverse();
  return layerRanges(channels.length, options.layersPerSegment).map(({ first, end }) => {
    const decoder = new AutoencoderLayers(config, weights, options);
    const g = decoder.graph;
    const maps = (count: number): (string | number)[] => [1, count, "h", "w"];

    const before = channels[Math.max(first - 1, 0)]!;
    let x = decoder.narrow(
      first === 0
        ? g.input("latents", "float32", maps(config.latent_channels))
        : g.input(`hidden.${first}`, "float32", maps(before)),
    );
    if (first === 0) x = decoder.decoderStart(x);
    for (let block = first; block < end; block++) {
      x = decoder.upBlock(block, x, channels[Math.max(block - 1, 0)]!, channels[block]!);
    }
    if (end === channels.length) {
      const sample = decoder.end("decoder", x, channels[end - 1]!, config.out_channels);
      g.output("sample", decoder.widen(sample), [1, config.out_channels, "height", "width"]);
    } else {
      g.output(`hidden.${end}`, decoder.widen(x), [1, channels[end - 1]!, "height", "width"]);
    }
    return g.build(`${weights.component}.decoder.${first}-${end - 1}`);
  });
}

/** Builds the start of the decoder, before its up blocks: `latents` → `hidden` [1, widest, h, w]. */
export function autoencoderKLDecoderStart(config: AutoencoderKLConfig, weights: Weights): BuiltGraph {
  const decoder = new AutoencoderLayers(config, weights);
  const latents = decoder.graph.input("latents", "float32", [1, config.latent_channels, "h", "w"]);
  decoder.graph.output("hidden", decoder.decoderStart(latents), [
    1,
    config.block_out_channels.at(-1)!,
    "h",
    "w",
  ]);
  return decoder.graph.build(`${weights.component}.decoder.start`);
}

/**
 * Builds the encoder: `sample` [1, in channels, H, W] in [-1, 1] → `moments` [1, 2 · latent channels, h, w].
 * Moments are the mean of the latents, followed by the logarithm of their variance, without the scaling
 * factor.
 */
export function autoencoderKLEncoderGraph(
  config: AutoencoderKLConfig,
  weights: Weights,
  options: AutoencoderOptions = {},
): BuiltGraph {
  const encoder = new AutoencoderLayers(config, weights, options);
  const g = encoder.graph;
  const channels = config.block_out_channels;
  const moments = 2 * config.latent_channels;

  let x = encoder.conv("encoder.conv_in", g.input("sample", "float32", [1, config.in_channels, "H", "W"]), {
    input: config.in_channels,
    output: channels[0]!,
  });
  for (const [block, output] of channels.entries()) {
    x = encoder.downBlock(block, x, channels[Math.max(block - 1, 0)]!, output);
  }
  g.output("moments", encoder.encoderEnd(x), [1, moments, "h", "w"]);
  return g.build(`${weights.component}.encoder`);
}

/**
 * Builds the end of the encoder, after its down blocks: `hidden` [1, widest, h, w] → `moments` [1, 2 · latent
 * channels, h, w].
 */
export function autoencoderKLEncoderEnd(config: AutoencoderKLConfig, weights: Weights): BuiltGraph {
  const encoder = new AutoencoderLayers(config, weights);
  const hidden = encoder.graph.input("hidden", "float32", [1, config.block_out_channels.at(-1)!, "h", "w"]);
  encoder.graph.output("moments", encoder.encoderEnd(hidden), [1, 2 * config.latent_channels, "h", "w"]);
  return encoder.graph.build(`${weights.component}.encoder.end`);
}

/** Builds the layers of the encoder and the decoder. Feature maps are [1, channels, h, w]. */
export class AutoencoderLayers {
  readonly graph: GraphBuilder;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #layers: Layers;
  readonly #computeType: ComputeType;
  readonly #queryParts: number;

  /**
   * @param config The autoencoder.
   * @param weights Its weights.
   * @param options Compute type, parts of the queries, and exposed values.
   */
  constructor(config: AutoencoderKLConfig, weights: Weights, options: AutoencoderOptions = {}) {
    this.#config = config;
    this.#weights = weights;
    this.graph = new GraphBuilder(options.exposed);
    this.#computeType = options.computeType ?? "float32";
    this.#queryParts = options.queryParts ?? 1;
    this.#layers = new Layers(this.graph, weights, this.#computeType);
  }

  /** Casts from float32 to the compute type. */
  narrow(x: Value): Value {
    return this.#computeType === "float32" ? x : this.graph.cast(x, this.#computeType);
  }

  /** Casts from the compute type to float32. */
  widen(x: Value): Value {
    return this.#computeType === "float32" ? x : this.graph.cast(x, "float32");
  }

  /** Maps latents to the decoder's widest feature maps, through its middle block. */
  decoderStart(latents: Value): Value {
    return this.midBlock(
      "decoder.mid_block",
      this.latentMaps(latents),
      this.#config.block_out_channels.at(-1)!,
    );
  }

  /** Maps latents to the input of the decoder's middle block. */
  latentMaps(latents: Value): Value {
    const { latent_channels, block_out_channels, use_post_quant_conv } = this.#config;
    const widest = block_out_channels.at(-1)!;
    if (use_post_quant_conv) {
      latents = this.conv("post_quant_conv", latents, {
        input: latent_channels,
        output: latent_channels,
        kernel: 1,
      });
      this.#probe("post_quant_conv", latents, latent_channels);
    }
    const x = this.conv("decoder.conv_in", latents, { input: latent_channels, output: widest });
    return this.#probe("conv_in", x, widest);
  }

  /** Maps the encoder's deepest feature maps to moments, through its middle block. */
  encoderEnd(x: Value): Value {
    return this.moments(this.midBlock("encoder.mid_block", x, this.#config.block_out_channels.at(-1)!));
  }

  /** Maps the output of the encoder's middle block to moments. */
  moments(x: Value): Value {
    const { latent_channels, block_out_channels, use_quant_conv } = this.#config;
    const moments = 2 * latent_channels;
    x = this.end("encoder", x, block_out_channels.at(-1)!, moments);
    return use_quant_conv ? this.conv("quant_conv", x, { input: moments, output: moments, kernel: 1 }) : x;
  }

  /** Applies a residual block, attention, and another residual block. */
  midBlock(module: string, x: Value, channels: number): Value {
    x = this.midStart(module, x, channels);
    if (this.#config.mid_block_add_attention) {
      const { query, key, value } = this.attentionRows(module, x, channels);
      const parts = this.#queryParts === 1 ? [query] : this.graph.splitEvenly(query, 0, this.#queryParts);
      const seen = parts.map((part) => attention(this.graph, part, key, value, { heads: 1 }));
      const attended = seen.length === 1 ? seen[0]! : this.graph.concat(seen, 0);
      x = this.addAttended(module, x, attended, channels);
    }
    return this.midEnd(module, x, channels);
  }

  /** Applies the first residual block of a middle block. */
  midStart(module: string, x: Value, channels: number): Value {
    x = this.#resnet(`${module}.resnets.0`, x, channels, channels);
    return this.#probe("mid/resnet.0", x, channels);
  }

  /** Maps feature maps to queries, keys and values of single-head attention over all points, [points, channels]. */
  attentionRows(module: string, x: Value, channels: number): { query: Value; key: Value; value: Value } {
    const g = this.graph;
    const normed = this.#groupNorm(`${module}.attentions.0.group_norm`, x, channels);
    const rows = g.transpose(g.reshape(normed, [channels, -1]), [1, 0]);
    const linear = (name: keyof typeof OLD_NAMES) => this.#attentionLinear(module, name, rows, channels);
    return { query: linear("to_q"), key: linear("to_k"), value: linear("to_v") };
  }

  /** Projects the result of attention, [points, channels], and adds it to the feature maps. */
  addAttended(module: string, x: Value, attended: Value, channels: number): Value {
    const g = this.graph;
    const projected = this.#attentionLinear(module, "to_out.0", attended, channels);
    return this.#probe(
      "mid/attention",
      g.add(g.reshapeLike(g.transpose(projected, [1, 0]), x), x),
      channels,
    );
  }

  /** Applies the second residual block of a middle block. */
  midEnd(module: string, x: Value, channels: number): Value {
    x = this.#resnet(`${module}.resnets.1`, x, channels, channels);
    return this.#probe("mid", x, channels);
  }

  /** Applies residual blocks, then doubles the size in all blocks except the last. */
  upBlock(index: number, x: Value, input: number, output: number): Value {
    const module = `decoder.up_blocks.${index}`;
    for (let resnet = 0; resnet <= this.#config.layers_per_block; resnet++) {
      x = this.#resnet(`${module}.resnets.${resnet}`, x, resnet === 0 ? input : output, output);
      if (resnet === 0) this.#probe(`up.${index}/resnet.0`, x, output);
    }
    if (index < this.#config.block_out_channels.length - 1) {
      x = this.#layers.upsampleConv(`${module}.upsamplers.0.conv`, x, { input: output, output });
    }
    return this.#probe(`up.${index}`, x, output);
  }

  /** Applies residual blocks, then halves the size in all blocks except the last. */
  downBlock(index: number, x: Value, input: number, output: number): Value {
    const module = `encoder.down_blocks.${index}`;
    for (let resnet = 0; resnet < this.#config.layers_per_block; resnet++) {
      x = this.#resnet(`${module}.resnets.${resnet}`, x, resnet === 0 ? input : output, output);
    }
    if (index < this.#config.block_out_channels.length - 1) {
      const pads = [0n, 0n, 1n, 1n];
      x = this.conv(`${module}.downsamplers.0.conv`, x, { input: output, output, stride: 2n, pads });
    }
    return x;
  }

  /** Applies normalization, SiLU and the last convolution. */
  end(half: "encoder" | "decoder", x: Value, input: number, output: number): Value {
    const normed = this.#groupNorm(`${half}.conv_norm_out`, x, input);
    this.#probe("conv_norm_out", normed, input);
    return this.#probe(
      "conv_out",
      this.conv(`${half}.conv_out`, this.graph.silu(normed), { input, output }),
      output,
    );
  }
  /** Adds a convolution of the encoder or the decoder. */
  conv(module: string, x: Value, options: ConvOptions): Value {
    return this.#layers.conv(module, x, options);
  }

  /** Adds a residual branch that applies normalization, SiLU and convolution twice. */
  #resnet(module: string, x: Value, input: number, output: number): Value {
    const g = this.graph;
    const inner = this.conv(`${module}.conv1`, g.silu(this.#groupNorm(`${module}.norm1`, x, input)), {
      input,
      output,
    });
    const normed = g.silu(this.#groupNorm(`${module}.norm2`, inner, output));
    const outer = this.conv(`${module}.conv2`, normed, { input: output, output });
    const skip = input === output ? x : this.conv(`${module}.conv_shortcut`, x, { input, output, kernel: 1 });
    return g.add(skip, outer);
  }

  #attentionLinear(module: string, name: keyof typeof OLD_NAMES, rows: Value, channels: number): Value {
    const attention = `${module}.attentions.0`;
    const isOld = this.#weights.has(`${attention}.query.weight`);
    return this.#layers.linear(`${attention}.${isOld ? OLD_NAMES[name] : name}`, rows, channels, channels);
  }

  #groupNorm(module: string, x: Value, channels: number): Value {
    const norm = { groups: this.#config.norm_num_groups, epsilon: NORM_EPSILON };
    const [scale, shift] = ["weight", "bias"].map((name) =>
      this.graph.reshape(this.#layers.weight(`${module}.${name}`, [channels]), [1, channels, 1, 1])
    );
    const normed = normalizeGroups(this.graph, x, norm, this.#computeType);
    return this.graph.add(this.graph.mul(normed, scale!), shift!);
  }

  #probe(name: string, value: Value, channels: number): Value {
    return this.graph.probe(name, value, [1, channels, `h of ${name}`, `w of ${name}`]);
  }
}
