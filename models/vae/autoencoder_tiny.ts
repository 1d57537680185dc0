// This module is browser compatible.

/**
 * TAESD, a tiny autoencoder, as ONNX graphs: https://github.com/madebyollin/taesd; reference:
 * diffusers/models/autoencoders/autoencoder_tiny.py and vae.py.
 *
 * @module
 */

import type { AutoencoderTinyConfig } from "./autoencoder_tiny_config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { type ConvOptions, Layers } from "../layers.ts";
import { type BuiltGraph, GraphBuilder, type Value } from "../onnx/graph_builder.ts";
import type { SegmentOptions } from "../segments.ts";

/** Limit of the absolute value of latents, applied smoothly with tanh. */
const LARGEST_LATENT = 3;

/**
 * Builds the decoder: `latents` [1, latent channels, h, w] → `sample` [1, out channels, H, W], about -1 to 1.
 */
export function autoencoderTinyDecoderGraph(
  config: AutoencoderTinyConfig,
  weights: Weights,
  options: SegmentOptions = {},
): BuiltGraph {
  const { decoder_block_out_channels: channels, num_decoder_blocks: blocks } = config;
  const layers = new TinyLayers("decoder.layers", weights, options);
  const g = layers.graph;
  const limit = g.scalar(LARGEST_LATENT);
  const latents = g.input("latents", "float32", [1, config.latent_channels, "h", "w"]);
  const bent = g.mul(g.op("Tanh", [g.op("Div", [latents, limit])]), limit);

  let x = layers.relu(
    layers.conv(bent, { input: config.latent_channels, output: channels[0]! }),
    channels[0]!,
  );
  for (const [stage, count] of blocks.entries()) {
    const isLast = stage === blocks.length - 1;
    const input = channels[stage]!;
    for (let block = 0; block < count; block++) x = layers.block(x, input);
    x = isLast
      ? layers.conv(x, { input, output: config.out_channels })
      : layers.upsampleConv(x, { input, output: input, bias: false });
  }
  g.output("sample", g.add(g.mul(x, g.scalar(2)), g.scalar(-1)), [1, config.out_channels, "height", "width"]);
  return g.build(`${weights.component}.decoder`);
}

/** Builds the encoder: `sample` [1, in channels, H, W] in [-1, 1] → `latents` [1, latent channels, h, w]. */
export function autoencoderTinyEncoderGraph(
  config: AutoencoderTinyConfig,
  weights: Weights,
  options: SegmentOptions = {},
): BuiltGraph {
  const { encoder_block_out_channels: channels, num_encoder_blocks: blocks } = config;
  const layers = new TinyLayers("encoder.layers", weights, options);
  const g = layers.graph;
  const sample = g.input("sample", "float32", [1, config.in_channels, "height", "width"]);

  let x = g.op("Div", [g.add(sample, g.scalar(1)), g.scalar(2)]);
  for (const [stage, count] of blocks.entries()) {
    const output = channels[stage]!;
    x = stage === 0
      ? layers.conv(x, { input: config.in_channels, output })
      : layers.conv(x, { input: output, output, stride: 2n, bias: false });
    for (let block = 0; block < count; block++) x = layers.block(x, output);
  }
  x = layers.conv(x, { input: channels.at(-1)!, output: config.latent_channels });
  g.output("latents", x, [1, config.latent_channels, "h", "w"]);
  return g.build(`${weights.component}.encoder`);
}

/** Builds layers that are numbered in execution order, including layers without weights. */
class TinyLayers {
  readonly graph: GraphBuilder;
  readonly #layers: Layers;
  readonly #module: string;
  #index = 0;

  constructor(module: string, weights: Weights, options: SegmentOptions) {
    this.#module = module;
    this.graph = new GraphBuilder(options.exposed);
    this.#layers = new Layers(this.graph, weights);
  }

  /** Adds the next layer, a convolution. */
  conv(x: Value, options: ConvOptions): Value {
    return this.#numbered(options.output, (module) => this.#layers.conv(module, x, options));
  }

  /** Adds the next layer, a residual block of three convolutions. */
  block(x: Value, channels: number): Value {
    const g = this.graph;
    return this.#numbered(channels, (module) => {
      const conv = (index: number, x: Value): Value =>
        this.#layers.conv(`${module}.conv.${index}`, x, { input: channels, output: channels });
      return g.relu(g.add(conv(4, g.relu(conv(2, g.relu(conv(0, x))))), x));
    });
  }

  /** Adds the next layer, a ReLU. */
  relu(x: Value, channels: number): Value {
    return this.#numbered(channels, () => this.graph.relu(x));
  }

  /** Adds the next two layers: upsampling to twice the size, and a convolution. */
  upsampleConv(x: Value, options: Pick<ConvOptions, "input" | "output" | "bias">): Value {
    this.#index++;
    return this.#numbered(options.output, (module) => this.#layers.upsampleConv(module, x, options));
  }

  #numbered(channels: number, add: (module: string) => Value): Value {
    const index = this.#index++;
    return this.graph.probe(`layer.${index}`, add(`${this.#module}.${index}`), [
      1,
      channels,
      `h of layer ${index}`,
      `w of layer ${index}`,
    ]);
  }
}
