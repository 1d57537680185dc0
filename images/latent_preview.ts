// This module is browser compatible.

/**
 * Previews of latents without a VAE: the colour of each latent pixel is a linear function of its four
 * channels.
 *
 * @module
 */

import type { Tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { Pixels } from "./pixels.ts";

/**
 * The family of VAE that latents belong to: Stable Diffusion (PixArt-α) or Stable Diffusion XL (PixArt-Σ).
 */
export type LatentFamily = "sd" | "sdxl";

/** Options of a preview. */
export interface LatentPreviewOptions {
  /**
   * Pixels of the preview per latent pixel along an axis; 8 yields the size of the picture.
   *
   * @default {1}
   */
  readonly scale?: number;
}

/** The coefficients of `bias + gain × Σ channel × row`, a colour from 0 to 255. */
export interface LatentColours {
  /**
   * The factor of all rows.
   *
   * @default {1}
   */
  readonly gain?: number | undefined;
  /** Red, green and blue for channels of 0. */
  readonly bias: readonly [number, number, number];
  /** Red, green and blue for each latent channel. */
  readonly rows: readonly (readonly [number, number, number])[];
}

/** The colours of published autoencoders. */
export const LATENT_COLOURS: Readonly<Record<LatentFamily, LatentColours>> = {
  // https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204/2
  sd: {
    gain: 127.5,
    bias: [127.5, 127.5, 127.5],
    rows: [[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473]],
  },
  // https://huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space
  sdxl: {
    gain: 1,
    bias: [150, 140, 130],
    rows: [[60, 60, 60], [-60, -5, 10], [25, 15, -5], [-70, -50, -35]],
  },
};

/**
 * Computes previews of latents, good enough to watch a picture emerge.
 *
 * Sources: keturn, "Decoding latents to RGB without upscaling", 2022, for Stable Diffusion; Timothy Alexis
 * Vass, "Explaining the SDXL latent space", 2023, for Stable Diffusion XL.
 *
 * @param latents Latents as [n, 4, height, width], as the denoising loop has them (times the VAE's scaling
 * factor).
 * @param family The VAE family that they belong to, or the colours of another VAE's four channels.
 * @param options The size of the preview.
 * @returns One picture for each of the n latents.
 * @throws {InputError} if the shape or the family is not supported.
 * @throws {InputError} if the scale is not an integer above 0.
 *
 * @example Usage
 * ```ts
 * import { tensor } from "../artifacts/tensor.ts";
 * import { latentsToRgb } from "./latent_preview.ts";
 *
 * const latents = tensor("float32", [1, 4, 64, 64], new Float32Array(4 * 64 * 64));
 * const [preview] = latentsToRgb(latents, "sd", { scale: 8 }); // 512 × 512
 * ```
 */
export function latentsToRgb(
  latents: Tensor<"float32">,
  family: LatentFamily | LatentColours,
  options: LatentPreviewOptions = {},
): Pixels[] {
  const { scale = 1 } = options;
  const [count, channels, height, width] = latents.shape;
  if (latents.shape.length !== 4 || channels !== 4) {
    throw new InputError(
      "invalid_shape",
      `Cannot preview latents because their shape must be [n, 4, height, width]: current shape is [${latents.shape}]`,
    );
  }
  if (!Number.isSafeInteger(scale) || scale < 1) {
    throw new InputError(
      "out_of_range",
      `Cannot preview latents because the scale must be an integer above 0: current value is ${scale}`,
    );
  }
  const projection = typeof family === "object" ? family : LATENT_COLOURS[family];
  if (projection === undefined) {
    throw new InputError(
      "invalid_value",
      `Cannot preview latents because their family must be sd or sdxl: current value is ${family}`,
    );
  }
  const plane = height! * width!;
  return Array.from({ length: count! }, (_, n) => {
    const values = latents.data.subarray(n * 4 * plane, (n + 1) * 4 * plane);
    return enlarge({ width: width!, height: height!, data: project(values, plane, projection) }, scale);
  });
}

function project(values: Float32Array, plane: number, { gain = 1, bias, rows }: LatentColours): Uint8Array {
  const colours = new Uint8ClampedArray(plane * 3);
  for (let i = 0; i < plane; i++) {
    for (let colour = 0; colour < 3; colour++) {
      const sum = rows.reduce(
        (total, row, channel) => total + row[colour]! * values[channel * plane + i]!,
        0,
      );
      colours[i * 3 + colour] = bias[colour]! + gain * sum;
    }
  }
  return new Uint8Array(colours.buffer);
}

/** Repeats every pixel along both axes. */
function enlarge(pixels: Pixels, scale: number): Pixels {
  if (scale === 1) return pixels;
  const width = pixels.width * scale;
  const height = pixels.height * scale;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < pixels.height; y++) {
    const start = y * scale * width * 3;
    for (let x = 0; x < width; x++) {
      const from = (y * pixels.width + Math.floor(x / scale)) * 3;
      data.set(pixels.data.subarray(from, from + 3), start + x * 3);
    }
    for (let copy = 1; copy < scale; copy++) {
      data.copyWithin(start + copy * width * 3, start, start + width * 3);
    }
  }
  return { width, height, data };
}
