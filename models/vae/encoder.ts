// This module is browser compatible.

/**
 * The encoders of latent diffusion's autoencoders, shared by architectures.
 *
 * @module
 */

import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import type { Runtime, Session } from "../../runtime/runtime.ts";
import type {
  LatentDistribution,
  OpenPictureEncoder,
  OpenPictureEncoderOptions,
  PictureEncoderModel,
} from "../architecture.ts";
import type { Component } from "../checkpoint/component.ts";
import { parseConfig } from "../checkpoint/parse_config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { adviseOnMemory } from "../out_of_memory.ts";
import type { CallOptions } from "../segments.ts";
import { AutoencoderConfig, spatialFactor } from "./autoencoder_config.ts";
import { autoencoderKLEncoderGraph } from "./autoencoder_kl.ts";
import { autoencoderTinyEncoderGraph } from "./autoencoder_tiny.ts";
import { encoderMemoryChoices } from "./encoder_memory.ts";
import { SeamlessEncoder } from "./tiling/seamless_encoder.ts";
import { chooseTiling } from "./tiling/tiled_vae_decoder.ts";

/** Range to which logarithms of variances are clamped, as in `DiagonalGaussianDistribution` of diffusers. */
const LOG_VARIANCES = [-30, 20] as const;
/** Number of channels of a picture. */
const COLOURS = 3;
/**
 * Number of parts into which a GPU splits the middle block's queries. Its one head has 512 channels, for
 * which GPUs have no kernel that avoids storing all attention scores.
 */
const GPU_QUERY_PARTS = 8;

/** Reads the configuration of an autoencoder's encoder. */
export function autoencoderEncoder(component: Component): PictureEncoderModel {
  const config = parseConfig(AutoencoderConfig, component);
  if (config.in_channels !== COLOURS) {
    throw new InputError(
      "unsupported_architecture",
      `Cannot encode a picture: the autoencoder must have ${COLOURS} input channels, but has ${config.in_channels}`,
    );
  }
  return {
    component,
    spatialFactor: spatialFactor(config),
    latentChannels: config.latent_channels,
    hasDistribution: config._class_name === "AutoencoderKL",
    scalingFactor: config.scaling_factor,
    checkTiling(tiling) {
      if (tiling !== "seamless" || config._class_name === "AutoencoderKL") return;
      throw new InputError(
        "invalid_value",
        `Tiling "seamless" requires an AutoencoderKL, but the autoencoder is ` +
          `${config._class_name}. Choose the tiling "none"`,
        { details: { field: "tiling" } },
      );
    },
    // Some autoencoders are published without the encoder's weights. Building the graph detects that.
    checkWeights: (weights) => void encoderGraph(config, weights, 1),
    memory: (weights, job, request) => encoderMemoryChoices(config, weights, job, request),
    open: (runtime, weights, options) => new VaeEncoder(runtime, config, weights, options),
  };
}

/**
 * An open encoder. For encoding in one piece, it opens a session at the first picture and keeps it. For
 * encoding in strips, it keeps no weights in memory.
 */
class VaeEncoder implements OpenPictureEncoder {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderConfig;
  readonly #weights: Weights;
  readonly #options: OpenPictureEncoderOptions;
  #whole: Session | undefined;

  constructor(
    runtime: Runtime,
    config: AutoencoderConfig,
    weights: Weights,
    options: OpenPictureEncoderOptions,
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
  }

  async encode(picture: Tensor<"float32">, options: CallOptions = {}): Promise<LatentDistribution> {
    const [, , height = 0, width = 0] = picture.shape;
    const config = this.#config;
    const chosen = this.#options.tiling === "auto"
      ? chooseTiling(config, this.#runtime.traits, height * width)
      : this.#options.tiling;
    const output = await adviseOnMemory(
      "encode the picture",
      "make a smaller picture, or free memory",
      chosen === "seamless" && config._class_name === "AutoencoderKL"
        ? new SeamlessEncoder(this.#runtime, config, this.#weights, this.#options).encode(picture, options)
        : this.#encodeWhole(picture),
    );
    return config._class_name === "AutoencoderKL" ? distribution(output) : { mean: output };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const whole = this.#whole;
    this.#whole = undefined;
    await whole?.release();
  }

  async #encodeWhole(sample: Tensor<"float32">): Promise<Tensor<"float32">> {
    const { onLoad, residency, signal } = this.#options;
    const { hostMemory } = this.#runtime.traits;
    const graph = encoderGraph(this.#config, this.#weights, hostMemory ? 1 : GPU_QUERY_PARTS);
    if (!this.#whole) {
      onLoad?.({ graph: graph.name, index: 0, total: 1, bytes: graph.weightBytes });
      const keep = residency === "resident";
      this.#whole = await this.#runtime.open(graph, { memoryPool: false, keep, signal });
    }
    const [output] = Object.values(await this.#whole.run({ sample }));
    return output as Tensor<"float32">;
  }
}

function encoderGraph(config: AutoencoderConfig, weights: Weights, queryParts: number) {
  return config._class_name === "AutoencoderKL"
    ? autoencoderKLEncoderGraph(config, weights, { queryParts })
    : autoencoderTinyEncoderGraph(config, weights);
}

/** Splits moments into mean and standard deviation, `exp(0.5 * clamp(logvar))`, in float32. */
function distribution({ shape, data }: Tensor<"float32">): LatentDistribution {
  const [, channels = 0, height = 0, width = 0] = shape;
  const half = data.length / 2;
  const [least, most] = LOG_VARIANCES;
  const size = [1, channels / 2, height, width];
  const deviation = Float32Array.from(
    data.subarray(half),
    (value) => Math.exp(0.5 * Math.min(Math.max(value, least), most)),
  );
  return {
    mean: tensor("float32", size, data.slice(0, half)),
    deviation: tensor("float32", size, deviation),
  };
}
