// This module is browser compatible.

/**
 * Encodes a picture in strips without seams; see `strip_run.ts`. The result equals encoding in one piece up
 * to rounding.
 *
 * @module
 */

import type { Tensor } from "../../../artifacts/tensor.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { CallOptions } from "../../segments.ts";
import { autoencoderKLEncoderEnd } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import { middleBlockInParts } from "./middle_block.ts";
import { planSeamlessEncoder } from "./seamless_encoder_plan.ts";
import { StripRun, type StripRunOptions } from "./strip_run.ts";

/** An encoder that keeps no weights in memory between calls. */
export class SeamlessEncoder {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #options: StripRunOptions;

  /**
   * @param runtime Opens the graphs.
   * @param config The autoencoder.
   * @param weights The autoencoder's weights.
   * @param options Rows per strip.
   */
  constructor(
    runtime: Runtime,
    config: AutoencoderKLConfig,
    weights: Weights,
    options: StripRunOptions = {},
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
  }

  /**
   * Encodes a picture.
   *
   * @param sample [1, in channels, H, W] in [-1, 1]; both sides are multiples of the spatial factor.
   * @param options Abort signal, checked before each strip.
   * @returns Moments [1, 2 · latent channels, h, w]: the mean, followed by the logarithm of the variance, not
   *   clamped.
   */
  async encode(sample: Tensor<"float32">, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const [, , height = 0, width = 0] = sample.shape;
    const run = new StripRun(this.#runtime, this.#config, this.#weights, this.#options, options.signal);
    try {
      run.begin(sample);
      for (const step of planSeamlessEncoder(this.#config, { height, width }).steps) {
        await (step.kind === "resnet" ? run.resnet(step) : run.downsample(step.downsampler));
      }
      const hidden = run.maps();
      run.release();
      return await this.#end(run, hidden);
    } finally {
      run.release();
    }
  }

  /**
   * Runs the middle block, not in strips: feature maps are small from there on, and its attention needs all
   * points.
   */
  async #end(run: StripRun, hidden: Tensor<"float32">): Promise<Tensor<"float32">> {
    const { mid_block_add_attention } = this.#config;
    if (this.#runtime.traits.freesLate && mid_block_add_attention) {
      return await middleBlockInParts(run, "encoder", this.#config, this.#weights, hidden);
    }
    const { moments } = await run.runWhole(autoencoderKLEncoderEnd(this.#config, this.#weights), { hidden });
    return moments as Tensor<"float32">;
  }
}
