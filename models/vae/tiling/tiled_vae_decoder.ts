// This module is browser compatible.

/**
 * Decodes pictures in one piece, in strips or in tiles, depending on the memory that may be used.
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
 * Ways to decode a picture in parts.
 *
 * - `none`: in one piece.
 * - `seamless`: in strips with the statistics of the whole picture. The result equals one piece up to
 *   rounding.
 * - `blended`: in independent tiles whose overlaps are blended.
 * - `auto`: `seamless` on a CPU for pictures larger than 256 × 256 pixels, otherwise `none`.
 */
export type VaeTiling = "auto" | "none" | "seamless" | "blended";

/** Options for decoding pictures. */
export interface TiledDecodeOptions extends OpenModelOptions {
  /**
   * The tiling.
   *
   * @default {"auto"}
   */
  readonly tiling?: VaeTiling | undefined;
  /**
   * Height and width of a blended tile in pixels.
   *
   * @default {512}
   */
  readonly tileSize?: number | undefined;
  /**
   * Overlap of blended tiles in pixels.
   *
   * @default {128}
   */
  readonly tileOverlap?: number | undefined;
  /**
   * Maximum size in bytes of the feature maps of `seamless` in memory. The default is the smallest possible.
   */
  readonly mapBytes?: number | undefined;
  /**
   * Compute type of AutoencoderKL for whole pictures and tiles. Seam-free strips are always float32. If
   * values overflow float16, as in SDXL's autoencoder, the picture is decoded again in float32.
   *
   * @default {"float32"}
   */
  readonly computeType?: ComputeType | undefined;
  /**
   * Called with the error when memory runs out and the picture is decoded in strips instead of in one piece.
   */
  readonly onFallback?: ((error: Error) => void) | undefined;
  /** Called when values overflow float16 and the picture is decoded again in float32. */
  readonly onOverflow?: (() => void) | undefined;
}

/** Number of pixels of the largest picture that `auto` decodes in one piece. */
const WHOLE_PIXELS = 256 ** 2;
/**
 * Number of parts into which a GPU splits the middle block's queries. Its one head has 512 channels, for
 * which GPUs have no kernel that avoids storing all attention scores.
 */
const GPU_QUERY_PARTS = 8;
const TILE_SIZE = 512;
const TILE_OVERLAP = 128;

/**
 * Returns the tiling that `auto` selects.
 *
 * @param config The autoencoder. The tiny one has no norms and is decoded in one piece.
 * @param traits The traits of the device on which it runs.
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

/**
 * A decoder that can process pictures in parts. For decoding in one piece or in tiles, the residency
 * determines how long it keeps weights in memory. For decoding in strips, it keeps none.
 */
export class TiledVaeDecoder implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #config: AutoencoderConfig;
  readonly #weights: Weights;
  readonly #options: TiledDecodeOptions;
  #whole: VaeDecoder | undefined;
  #computeType: ComputeType;

  /**
   * Creates a decoder, which opens its graphs at the first picture.
   *
   * @param runtime Opens the graphs.
   * @param config The autoencoder.
   * @param weights The autoencoder's weights.
   * @param options Tiling, residency and compute type.
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
   * @param options Abort signal.
   * @returns [1, 3, H, W], about -1 to 1, not clamped.
   * @throws {OutOfMemoryError} if memory runs out and no tiling that needs less is left.
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

  /** Releases the sessions and their memory. Calling it again has no effect. */
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
          `Tiling "seamless" requires an AutoencoderKL, but the autoencoder is ` +
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
    `Cannot decode the picture because memory ran out (tiling "${tiling}"): ${hint}, or free memory`,
    { cause },
  );
}
