// This module is browser compatible.

/**
 * Denoising that starts from a picture, or repaints a part of it.
 *
 * Sources: Meng et al. 2021, "SDEdit" (https://arxiv.org/abs/2108.01073); Lugmayr et al. 2022, "RePaint"
 * (https://arxiv.org/abs/2201.09865), for the known part; diffusers' pipeline_stable_diffusion_img2img.py and
 * pipeline_stable_diffusion_inpaint.py for strength, the order of random draws, and the blend after each
 * step.
 *
 * @module
 */

import { type Artifact, ArtifactError } from "../../artifacts/artifact.ts";
import {
  drawLatents,
  imageLatents,
  latentsMetadata,
  unpackDeviation,
  unpackLatents,
} from "../../artifacts/latents.ts";
import { maskRow, unpackMask } from "../../artifacts/mask.ts";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import type { DenoiserModel, PictureSize } from "../../models/architecture.ts";
import type { NoiseGenerator } from "../../random/noise_generator.ts";
import type { Scheduler } from "../../schedulers/scheduler.ts";

/** Default strength, diffusers' own for image-to-image and for inpainting. */
const STRENGTH = { whole: 0.8, masked: 1 } as const;

/** A picture at the inputs, as far as it is known before it is read. */
export interface PictureOutline {
  /** The size that the picture stands for, and the size of its latents in pixels, if known. */
  readonly sizes?: { readonly size: PictureSize; readonly renderSize: PictureSize } | undefined;
  /** Whether a mask selects what is repainted. */
  readonly isMasked: boolean;
}

/** How a run starts from a picture. */
export interface PictureBeginning {
  /** Fraction of the run to execute, from 0 to 1. */
  readonly strength: number;
  /** The first call of the schedule that is executed. */
  readonly begin: number;
  /** Whether the run starts from pure noise. The picture then only matters outside the mask. */
  readonly fromNoise: boolean;
}

/** The picture of one image. */
export interface ImagePicture {
  /** The picture's latents, flat. */
  readonly clean: Float32Array;
  /**
   * How much of each latent is repainted, from 0 to 1; same length as `clean`. Everything is repainted
   * without a mask.
   */
  readonly mask?: Float32Array | undefined;
}

/** Pictures at the inputs, and how to sample their latents. */
export interface Pictures {
  readonly latents: Tensor<"float32">;
  readonly deviation: Tensor<"float32"> | undefined;
  readonly mask: Tensor<"float32"> | undefined;
}

/**
 * Returns the properties of a run that follow from the outlines of picture and mask.
 *
 * @param given Outlines at the connected ports.
 * @param model The transformer's architecture.
 * @throws {InputError} if there is a mask without a picture, or the model cannot denoise latents of that
 * size.
 */
export function outlinePicture(
  { image, mask }: {
    readonly image?: ArtifactOutline | undefined;
    readonly mask?: ArtifactOutline | undefined;
  },
  model: DenoiserModel,
): PictureOutline | undefined {
  if (!image) {
    if (!mask) return undefined;
    throw new InputError(
      "missing_input",
      "Cannot use a mask without a picture: connect the picture's latents too",
    );
  }
  return { sizes: latentSizes(image, model), isMasked: mask !== undefined };
}

/**
 * Returns the size of the pictures that latents stand for, if their shape is known.
 *
 * @param latents Their outline.
 * @param model The transformer's architecture.
 * @throws {InputError} if the model cannot denoise latents of that size.
 */
export function latentSizes(latents: ArtifactOutline, model: DenoiserModel): PictureOutline["sizes"] {
  const [, , height, width] = latents.shapes["latents"] ?? [];
  if (height === undefined || width === undefined) return undefined;
  const { spatialFactor: factor } = model;
  const { renderSize } = model.resolveSize({ height: height * factor, width: width * factor }, false);
  return { renderSize, size: latentsMetadata(latents).size ?? renderSize };
}

/**
 * Returns the call of the schedule at which a run from a picture starts. The run executes the last
 * `int(steps * strength)` steps.
 *
 * @param strength The fraction of the run to execute. The default depends on the picture.
 * @param picture What is known about the picture.
 * @param steps Number of steps of the whole run.
 * @param scheduler The initialized scheduler.
 * @throws {InputError} if no step is left, or the scheduler cannot start in the middle.
 */
export function beginFromPicture(
  strength: number | undefined,
  { isMasked }: PictureOutline,
  steps: number,
  scheduler: Scheduler,
): PictureBeginning {
  const share = strength ?? (isMasked ? STRENGTH.masked : STRENGTH.whole);
  const kept = Math.min(Math.trunc(steps * share), steps);
  if (kept < 1) {
    throw new InputError(
      "out_of_range",
      `Cannot start from the picture because steps times strength is less than 1: current values are ${steps} and ` +
        `${share}`,
      { details: { field: "strength" } },
    );
  }
  const begin = (steps - kept) * (scheduler.order ?? 1);
  if (begin > 0 && !scheduler.begin) {
    throw new InputError(
      "invalid_value",
      `Cannot start from a picture with ${scheduler.name}: it cannot start in the middle of its schedule`,
      { details: { field: "scheduler" } },
    );
  }
  return { strength: share, begin, fromNoise: isMasked && share === 1 };
}

/**
 * Throws if latents of pictures, or masks, do not match the images.
 *
 * @param given Shapes of the latents and of the mask, if known.
 * @param images Number of images, if known.
 * @param shape Shape of one image's latents.
 * @throws {ArtifactError} if they do not match.
 */
export function checkPicture(
  given: { readonly latents?: readonly number[] | undefined; readonly mask?: readonly number[] | undefined },
  images: number | undefined,
  [, channels, height, width]: readonly number[],
): void {
  const check = (what: string, found: readonly number[] | undefined, depth: number | undefined): void => {
    if (!found) return;
    const [count = 0, ...size] = found;
    if (String(size) !== String([depth, height, width])) {
      throw new ArtifactError(
        `Cannot start from a picture: expected ${what} of shape [n, ${depth}, ${height}, ${width}], but found [${found}]`,
        { details: { field: "image" } },
      );
    }
    if (images === undefined || images % count === 0) return;
    throw new ArtifactError(
      `Cannot start ${images} images from ${what} of ${count} pictures: the number of images must be a multiple`,
      { details: { field: "image" } },
    );
  };
  check("latents", given.latents, channels);
  check("mask", given.mask, 1);
}

/**
 * Reads the pictures at the inputs.
 *
 * @param sources The artifacts at the inputs, by port.
 * @param images Number of images.
 * @param shape Shape of one image's latents.
 * @returns The pictures, if any are connected.
 * @throws {ArtifactError} if they do not match the images.
 */
export function unpackPictures(
  { image, mask }: Readonly<Record<string, Artifact>>,
  images: number,
  shape: readonly number[],
): Pictures | undefined {
  if (!image) return undefined;
  const latents = unpackLatents(image, shape[1]!);
  const unpacked = mask && unpackMask(mask);
  checkPicture({ latents: latents.shape, mask: unpacked?.shape }, images, shape);
  return { latents, deviation: unpackDeviation(image, latents.shape), mask: unpacked };
}

/**
 * Draws the picture and the noise of one image. Image i uses picture i modulo the number of pictures. The
 * draws are those of diffusers: from the picture's distribution, of the noise, and, if a part is repainted,
 * from the distribution of the masked picture. Only networks with nine channels would use the last draw. It
 * is discarded here but advances the generator.
 *
 * @param pictures The pictures.
 * @param image Index of the image.
 * @param generator The image's generator in its initial state.
 * @param given Noise to use instead of drawing it.
 */
export function drawPicture(
  { latents, deviation, mask }: Pictures,
  image: number,
  generator: Pick<NoiseGenerator, "randn">,
  given: Float32Array | undefined,
): { readonly picture: ImagePicture; readonly noise: Float32Array } {
  const row = image % latents.shape[0]!;
  const mean = imageLatents(latents, row).data;
  const clean = deviation
    ? drawLatents(mean, imageLatents(deviation, row).data, generator.randn(mean.length))
    : mean.slice();
  const noise = given ?? generator.randn(mean.length);
  if (mask && deviation) generator.randn(mean.length);
  return {
    picture: { clean, mask: mask && maskRow(mask, image % mask.shape[0]!, latents.shape[1]!) },
    noise,
  };
}

/**
 * Returns the initial latents of the loop.
 *
 * @param picture The picture.
 * @param noise Standard normal noise.
 * @param beginning How the run starts.
 * @param scheduler The scheduler, before its first call.
 */
export function noisedPicture(
  { clean }: ImagePicture,
  noise: Float32Array,
  { begin, fromNoise }: PictureBeginning,
  scheduler: Scheduler,
): Float32Array {
  if (!fromNoise) return scheduler.addNoise(clean, noise, scheduler.timesteps[begin]!);
  const factor = Math.fround(scheduler.initNoiseSigma);
  return noise.map((value) => value * factor);
}

/**
 * Blends the picture outside the mask into the sample, at the noise level of the next call: `(1 - mask) *
 * picture + mask * sample`, in float32.
 *
 * @param sample The result of the step.
 * @param picture The picture and its mask.
 * @param noise The initial noise of the run.
 * @param scheduler The scheduler, after the step.
 * @param next The timestep of the next call. Absent after the last one.
 * @returns New latents, or the sample itself if there is no mask.
 */
export function layAround(
  sample: Float32Array,
  { clean, mask }: ImagePicture,
  noise: Float32Array,
  scheduler: Scheduler,
  next: number | undefined,
): Float32Array {
  if (!mask) return sample;
  const original = next === undefined ? clean : scheduler.addNoise(clean, noise, next);
  return Float32Array.from(
    mask,
    (share, i) => Math.fround(Math.fround(1 - share) * original[i]!) + Math.fround(share * sample[i]!),
  );
}
