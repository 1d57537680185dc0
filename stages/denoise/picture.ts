// This module is browser compatible.

/**
 * Denoising that begins from a picture, or repaints a part of one.
 *
 * Sources: Meng et al. 2021, "SDEdit" (https://arxiv.org/abs/2108.01073); Lugmayr et al. 2022, "RePaint"
 * (https://arxiv.org/abs/2201.09865), for the known part; diffusers' pipeline_stable_diffusion_img2img.py and
 * pipeline_stable_diffusion_inpaint.py for strength, the order of random draws, and the blend after each step.
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

/** Strength where none is asked for: diffusers' own, of picture to picture and of inpainting. */
const STRENGTH = { whole: 0.8, masked: 1 } as const;

/** A picture at the inputs, as far as it is known before it is read. */
export interface PictureOutline {
  /** The size that the picture stands for, and that of its latents in pixels; where they are known. */
  readonly sizes?: { readonly size: PictureSize; readonly renderSize: PictureSize } | undefined;
  /** Whether a mask says what is repainted. */
  readonly isMasked: boolean;
}

/** How a run begins from a picture. */
export interface PictureBeginning {
  /** How much of the run is taken, from 0 to 1. */
  readonly strength: number;
  /** The first call of the schedule that is taken. */
  readonly begin: number;
  /** Whether it begins with noise alone: the picture counts outside the mask then. */
  readonly fromNoise: boolean;
}

/** The picture of one image. */
export interface ImagePicture {
  /** Its latents, flat. */
  readonly clean: Float32Array;
  /** How much of each latent is repainted, from 0 to 1; of the same length. All of it where there is no mask. */
  readonly mask?: Float32Array | undefined;
}

/** Pictures at the inputs, with how their latents are drawn. */
export interface Pictures {
  readonly latents: Tensor<"float32">;
  readonly deviation: Tensor<"float32"> | undefined;
  readonly mask: Tensor<"float32"> | undefined;
}

/**
 * What the outlines of picture and mask tell.
 *
 * @param given Outlines at the connected ports.
 * @param model What the transformer is.
 * @throws {InputError} if there is a mask and no picture, or the model cannot denoise latents of that size.
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
      "Cannot repaint a part of a picture as the picture must be connected too",
    );
  }
  return { sizes: latentSizes(image, model), isMasked: mask !== undefined };
}

/**
 * The size of pictures that latents stand for, where their shape is known.
 *
 * @param latents Their outline.
 * @param model What the transformer is.
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
 * Where a run begins that starts from a picture: of `steps` it takes `int(steps * strength)`, the last ones.
 *
 * @param strength How much of the run is taken; the usual share where none is asked for.
 * @param picture What is known of the picture.
 * @param steps Steps of the whole run.
 * @param scheduler The schedule, laid out.
 * @throws {InputError} if no step is left, or the scheduler cannot begin in the middle.
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
      `Cannot begin from the picture as steps times strength must be 1 at least: current values are ${steps} and ` +
        `${share}`,
      { details: { field: "strength" } },
    );
  }
  const begin = (steps - kept) * (scheduler.order ?? 1);
  if (begin > 0 && !scheduler.begin) {
    throw new InputError(
      "invalid_value",
      `Cannot begin from a picture as the scheduler must be able to begin in the middle: ${scheduler.name} is not`,
      { details: { field: "scheduler" } },
    );
  }
  return { strength: share, begin, fromNoise: isMasked && share === 1 };
}

/**
 * Refuses latents of pictures, or masks, that do not fit the images.
 *
 * @param given Shapes, where they are known: of the latents and of the mask.
 * @param images How many images there are, where that is known.
 * @param shape Shape of one image's latents.
 * @throws {ArtifactError} if they do not fit.
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
        `Cannot begin from a picture as the ${what} must be [n, ${depth}, ${height}, ${width}]: shape is [${found}]`,
        { details: { field: "image" } },
      );
    }
    if (images === undefined || images % count === 0) return;
    throw new ArtifactError(
      `Cannot begin ${images} images from ${count} pictures as their number must be a multiple: ${what} of ${count}`,
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
 * @param images How many images there are.
 * @param shape Shape of one image's latents.
 * @returns The pictures, where a picture is connected.
 * @throws {ArtifactError} if they do not fit the images.
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
 * The picture of one image, and its noise. Pictures take turns: image i is of picture i modulo their number.
 *
 * The draws are diffusers': of the picture's distribution, of the noise, and, where a part is repainted, of the
 * distribution of the masked picture, which networks of nine channels would take; it is not used, but moves the generator.
 *
 * @param pictures The pictures.
 * @param image Which image.
 * @param generator The image's generator, at its start.
 * @param given Noise that was given instead of being drawn.
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
 * The latents that the loop begins with.
 *
 * @param picture The picture.
 * @param noise Standard normal noise.
 * @param beginning How the run begins.
 * @param scheduler The scheduler, which is to take the first call.
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
 * Lays the picture around what is repainted, at the noise of the next call: `(1 - mask) * picture + mask * sample`, in
 * float32.
 *
 * @param sample What the step gave.
 * @param picture The picture and its mask.
 * @param noise The noise that the run began with.
 * @param scheduler The scheduler, after the step.
 * @param next The timestep of the next call; none after the last one.
 * @returns New latents; the sample itself where there is no mask.
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
