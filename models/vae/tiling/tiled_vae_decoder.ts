// This module is browser compatible.

/**
 * Decodes pictures in as little memory as is asked for.
 *
 * @module
 */

import { InputError } from "../../../errors/pixstage_error.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import type { Runtime, RuntimeTraits } from "../../../runtime/runtime.ts";
import { type AutoencoderConfig, spatialFactor } from "../autoencoder_config.ts";
import type { Weights } from "../../checkpoint/weights.ts";
import { isOutOfMemory } from "../../../errors/foreign_error.ts";
import { OutOfMemoryError } from "../../out_of_memory.ts";
import type { CallOptions, OpenModelOptions } from "../../segments.ts";
import type { ComputeType } from "../../onnx/graph_builder.ts";
import { VaeDecoder } from "../decoder_runner.ts";
import { decodeBlended } from "./blended_decoder.ts";
import { SeamlessDecoder } from "./seamless_decoder.ts";

/**
 * How a picture is cut.
 *
 * - `none`: it is decoded in one piece.
 * - `seamless`: strip by strip, with the whole picture's statistics: what one piece would give, but for rounding.
 * - `blended`: tile by tile, each for itself, blended where they overlap.
 * - `auto`: `seamless` on a CPU where a picture is larger than 256 × 256 pixels, else `none`.
 */
export type VaeTiling = "auto" | "none" | "seamless" | "blended";

/** How pictures are decoded. */
export interface TiledDecodeOptions extends OpenModelOptions {
  /**
   * How a picture is cut.
   *
   * @default {"auto"}
   */
  readonly tiling?: VaeTiling | undefined;
  /**
   * Height and width of a blended tile, in pixels.
   *
   * @default {512}
   */
  readonly tileSize?: number | undefined;
  /**
   * Pixels that blended tiles share.
   *
   * @default {128}
   */
  readonly tileOverlap?: number | undefined;
  /** What `seamless` may hold, in bytes; the least possible by default. */
  readonly mapBytes?: number | undefined;
  /**
   * What AutoencoderKL computes a picture or a tile in; strips without seams are in float32. Where values outgrow float16,
   * as in SDXL's autoencoder, the picture is decoded again in float32.
   *
   * @default {"float32"}
   */
  readonly computeType?: ComputeType | undefined;
  /** Takes the error when memory ran out in one piece and the picture is decoded strip by strip instead. */
  readonly onFallback?: ((error: Error) => void) | undefined;
  /** Is called when values outgrew float16 and the picture is decoded again in float32. */
  readonly onOverflow?: (() => void) | undefined;
}

/** Latents of the largest picture that `auto` decodes in one piece. */
const WHOLE_PIXELS = 256 ** 2;
/** The middle block has one head of 512 channels, for which GPUs have no kernel that holds a part of the scores. */
const GPU_QUERY_PARTS = 8;
const TILE_SIZE = 512;
const TILE_OVERLAP = 128;

/**
 * How a picture is cut where `auto` leaves the choice.
 *
 * @param config The autoencoder; the tiny one has no norms and is decoded in one piece.
 * @param traits The traits of the device that it runs on.
 * @param pixels Height times width.
 */
export function chooseTiling(
  config: AutoencoderConfig,
  { hostMemory }: RuntimeTraits,
  pixels: number,
): VaeTiling {
  const isLarge = pixels > WHOLE_PIXELS;
  return isLarge && hostMemory && config._class_name === "AutoencoderKL" ? "seamless" : "none";
}

/** A decoder that cuts pictures. In one piece it holds its weights as the residency says; strip by strip, none. */
export class TiledVaeDecoder implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderConfig;
  readonly #weights: Weights;
  readonly #options: TiledDecodeOptions;
  #whole: VaeDecoder | undefined;
  #computeType: ComputeType;

  /**
   * Opens nothing before the first picture.
   *
   * @param runtime Opens the graphs.
   * @param config The autoencoder.
   * @param weights Its weights.
   * @param options How pictures are cut.
   */
  constructor(
    runtime: Runtime,
    config: AutoencoderConfig,
    weights: Weights,
    options: TiledDecodeOptions = {},
  ) {
    this.#runtime = runtime;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
    this.#computeType = options.computeType ?? "float32";
  }

  /**
   * Decodes latents.
   *
   * @param latents [1, latent channels, h, w], divided by the scaling factor.
   * @param options A signal.
   * @returns [1, 3, H, W], in about [-1, 1], not clamped.
   * @throws {OutOfMemoryError} if memory runs out, where no way is left that takes less.
   */
  async decode(latents: Tensor<"float32">, options: CallOptions = {}): Promise<Tensor<"float32">> {
    const [, , height = 0, width = 0] = latents.shape;
    const pixels = height * width * spatialFactor(this.#config) ** 2;
    const { tiling = "auto" } = this.#options;
    const chosen = tiling === "auto" ? chooseTiling(this.#config, this.#runtime.traits, pixels) : tiling;
    try {
      return await this.#decode(chosen, latents, options);
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      if (chosen !== "none" || this.#config._class_name !== "AutoencoderKL") throw ranOut(chosen, error);
      this.#options.onFallback?.(error as Error);
    }
    await this.release();
    try {
      return await this.#decode("seamless", latents, options);
    } catch (error) {
      throw isOutOfMemory(error) ? ranOut("seamless", error) : error;
    }
  }

  /** Gives the memory back; calling it again does nothing. */
  async release(): Promise<void> {
    const whole = this.#whole;
    this.#whole = undefined;
    await whole?.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  async #decode(
    tiling: VaeTiling,
    latents: Tensor<"float32">,
    options: CallOptions,
  ): Promise<Tensor<"float32">> {
    if (tiling === "seamless") {
      if (this.#config._class_name !== "AutoencoderKL") {
        throw new InputError(
          "invalid_value",
          `Cannot decode without seams as the autoencoder must be AutoencoderKL: current value is ` +
            `${this.#config._class_name}. Choose the tiling "blended" or "none"`,
        );
      }
      const decoder = new SeamlessDecoder(this.#runtime, this.#config, this.#weights, this.#options);
      return await decoder.decode(latents, options);
    }
    const image = await this.#decodeOpen(tiling, latents, options);
    if (this.#computeType === "float32" || image.data.every(Number.isFinite)) return image;
    this.#options.onOverflow?.();
    this.#computeType = "float32";
    await this.release();
    return await this.#decodeOpen(tiling, latents, options);
  }

  async #decodeOpen(
    tiling: VaeTiling,
    latents: Tensor<"float32">,
    options: CallOptions,
  ): Promise<Tensor<"float32">> {
    this.#whole ??= await VaeDecoder.open(this.#runtime, this.#config, this.#weights, {
      ...this.#options,
      computeType: this.#computeType,
      queryParts: this.#runtime.traits.hostMemory ? 1 : GPU_QUERY_PARTS,
    });
    const whole = this.#whole;
    if (tiling === "none") return await whole.decode(latents, options);
    const { tileSize = TILE_SIZE, tileOverlap = TILE_OVERLAP } = this.#options;
    return await decodeBlended(whole, latents, { ...options, tileSize, tileOverlap });
  }
}

function ranOut(tiling: VaeTiling, cause: unknown): OutOfMemoryError {
  const hint = tiling === "blended"
    ? "choose smaller tiles"
    : "make a smaller picture, or choose blended tiles";
  return new OutOfMemoryError(
    `Cannot decode the picture as memory ran out (tiling "${tiling}"): ${hint}, or free memory`,
    { cause },
  );
}
