// This module is browser compatible.

/**
 * Decodes a picture in strips without seams; see `strip_run.ts`. The result equals decoding in one piece up
 * to rounding. The idea of computing the norms' statistics over all tiles comes from Tiled VAE of
 * https://github.com/pkuliyi2015/multidiffusion-upscaler-for-automatic1111.
 *
 * @module
 */

import { releaseBuffer, type Tensor } from "../../../artifacts/tensor.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { autoencoderKLDecoderStart } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { CallOptions } from "../../segments.ts";
import { middleBlockInParts } from "./middle_block.ts";
import { planSeamless } from "./seamless_plan.ts";
import { StripRun, type StripRunOptions } from "./strip_run.ts";

/** Options for decoding a picture without seams. */
export interface SeamlessOptions extends StripRunOptions {
  /**
   * Maximum size in bytes of the feature maps in memory at a time. A larger limit reduces recomputation.
   * The default is the smallest possible.
   */
  readonly mapBytes?: number | undefined;
}

/** A decoder that keeps no weights in memory between calls. */
export class SeamlessDecoder {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderKLConfig;
  readonly #weights: Weights;
  readonly #options: SeamlessOptions;

  /**
   * @param runtime Opens the graphs.
   * @param config The autoencoder.
   * @param weights The autoencoder's weights.
   * @param options Memory for feature maps, and rows per strip.
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
   * @param options Abort signal, checked before each strip.
   * @returns [1, 3, H, W], about -1 to 1, not clamped.
   */
  async decode(latents: Tensor<"float32">, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const [, , height = 0, width = 0] = latents.shape;
    const { steps } = planSeamless(this.#config, { height, width }, this.#options.mapBytes);
    const run = new StripRun(this.#runtime, this.#config, this.#weights, this.#options, options.signal);
    try {
      const hidden = await this.#start(run, latents);
      run.begin(hidden);
      releaseBuffer(hidden.data.buffer);
      for (const step of steps) await run.resnet(step);
      await run.end(this.#config.out_channels);
      return run.maps();
    } finally {
      run.release();
    }
  }

  /**
   * Runs the middle block, not in strips: feature maps are small up to there, and its attention needs all
   * points.
   */
  async #start(run: StripRun, latents: Tensor<"float32">): Promise<Tensor<"float32">> {
    const { mid_block_add_attention } = this.#config;
    if (this.#runtime.traits.freesLate && mid_block_add_attention) {
      return await middleBlockInParts(run, "decoder", this.#config, this.#weights, latents);
    }
    const start = autoencoderKLDecoderStart(this.#config, this.#weights);
    const { hidden } = await run.runWhole(start, { latents });
    return hidden as Tensor<"float32">;
  }
}
