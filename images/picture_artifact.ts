// This module is browser compatible.

/**
 * Pictures as artifacts of kind `image`: bytes if they come from files, floats if a stage produced them.
 *
 * @module
 */

import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { orientationOf, turnUpright } from "./orientation.ts";
import { decodePicture, type DecodePictureOptions } from "./picture.ts";
import { checkPixels, type Pixels, toPixels } from "./pixels.ts";

const CHANNELS = 3;

/**
 * Reads a picture file as an artifact: upright and without transparency.
 *
 * @param bytes A PNG, JPEG or WebP file.
 * @param options The maximum number of pixels.
 * @returns An artifact of kind `image` with the tensor `image`, uint8 [1, 3, height, width].
 * @throws {FormatError} if the file has another format or is not valid.
 * @throws {InputError} if it has too many pixels.
 */
export async function readPictureArtifact(
  bytes: Uint8Array,
  options: DecodePictureOptions = {},
): Promise<Artifact> {
  return pictureArtifact(await readUpright(bytes, options));
}

/**
 * Reads a picture file and turns the picture upright.
 *
 * @param bytes A PNG, JPEG or WebP file.
 * @param options The maximum number of pixels.
 * @throws {FormatError} if the file has another format or is not valid.
 * @throws {InputError} if it has too many pixels.
 */
export async function readUpright(bytes: Uint8Array, options: DecodePictureOptions = {}): Promise<Pixels> {
  const { pixels, format } = await decodePicture(bytes, options);
  return turnUpright(pixels, orientationOf(bytes, format));
}

/** Returns the transparent part of a picture in white if it has one: the OpenAI API uses it as a mask. */
export function transparentPart({ width, height, alpha }: Pixels): Pixels | undefined {
  if (!alpha) return undefined;
  const data = new Uint8Array(alpha.length * CHANNELS);
  for (let i = 0; i < data.length; i++) data[i] = 255 - alpha[Math.floor(i / CHANNELS)]!;
  return { width, height, data };
}

/**
 * Wraps a picture in an artifact of kind `image` with the tensor `image`, uint8 [1, 3, height, width].
 *
 * @throws {InputError} if the data does not match the size.
 */
export function pictureArtifact(pixels: Pixels): Artifact {
  checkPixels(pixels);
  const { width, height, data } = pixels;
  const plane = width * height;
  const planes = new Uint8Array(CHANNELS * plane);
  for (let channel = 0; channel < CHANNELS; channel++) {
    for (let i = 0; i < plane; i++) planes[channel * plane + i] = data[i * CHANNELS + channel]!;
  }
  const image = tensor("uint8", [1, CHANNELS, height, width], planes);
  return { kind: "image", tensors: { image }, metadata: {} };
}

/**
 * Returns the pictures of an artifact at 8 bits per channel.
 *
 * @param artifact An artifact of kind `image`.
 * @returns Each picture.
 * @throws {ArtifactError} if its tensor `image` is missing or has another shape or type.
 */
export function artifactPixels({ tensors }: Pick<Artifact, "tensors">): Pixels[] {
  const image: Tensor | undefined = tensors["image"];
  pictureSizes({ shapes: image ? { image: image.shape } : {} });
  if (image?.dtype === "float32") return toPixels(image);
  if (image?.dtype !== "uint8") {
    throw new ArtifactError(
      `Cannot use an image artifact because its tensor "image" must be uint8 or float32: current type is ${image?.dtype}`,
    );
  }
  const [count = 0, , height = 0, width = 0] = image.shape;
  const plane = height * width;
  return Array.from({ length: count }, (_, n) => {
    const data = new Uint8Array(plane * CHANNELS);
    for (let channel = 0; channel < CHANNELS; channel++) {
      const start = (n * CHANNELS + channel) * plane;
      for (let i = 0; i < plane; i++) data[i * CHANNELS + channel] = image.data[start + i]!;
    }
    return { width, height, data };
  });
}

/**
 * Returns the number of pictures in an artifact of kind `image`, and their size.
 *
 * @param outline The artifact's outline, which contains the shape of its tensor.
 * @throws {ArtifactError} if the tensor `image` is missing or has another shape.
 */
export function pictureSizes(
  { shapes }: Pick<ArtifactOutline, "shapes">,
): { readonly count: number; readonly height: number; readonly width: number } {
  const shape = shapes["image"];
  const [count = 0, channels, height = 0, width = 0] = shape ?? [];
  if (shape?.length === 4 && channels === CHANNELS && !shape.includes(0)) return { count, height, width };
  throw new ArtifactError(
    `Cannot use an image artifact because its tensor "image" must be [pictures, 3, height, width]: current shape is ${
      shape ? `[${shape}]` : "not given"
    }`,
  );
}
