// This module is browser compatible.

/**
 * Decodes a picture strip by strip without seams; see `strip_run.ts`. What comes out is what one piece would give, but for
 * rounding. The idea of taking the norms' statistics over all tiles: Tiled VAE of
 * https://github.com/pkuliyi2015/multidiffusion-upscaler-for-automatic1111.
 *
 * @module
 */

import type { Tensor } from "../../../artifacts/tensor.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { autoencoderKLDecoderStart } from "../autoencoder_kl.ts";
import type { AutoencoderKLConfig } from "../autoencoder_kl_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import type { CallOptions } from "../../segments.ts";
import { planSeamless } from "./seamless_plan.ts";
import { StripRun, type StripRunOptions } from "./strip_run.ts";

/** How a picture is decoded without seams. */
export interface SeamlessOptions extends StripRunOptions {
  /**
   * Bytes of feature maps that may be held at a time; the more, the less is computed twice. The least possible by
   * default.
   */
  readonly mapBytes?: number | undefined;
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
    const run = new StripRun(this.#runtime, this.#config, this.#weights, this.#options, options.signal);
    try {
      // Feature maps are small up to the middle block, and attention sees all of them.
      const start = autoencoderKLDecoderStart(this.#config, this.#weights);
      const { hidden } = await run.runWhole(start, { latents });
      run.begin(hidden as Tensor<"float32">);
      for (const step of steps) await run.resnet(step);
      await run.end(this.#config.out_channels);
      return run.maps();
    } finally {
      run.release();
    }
  }
}
