// This module is browser compatible.

/**
 * Conversion between RGB pixels and the RGBA of browser codecs.
 *
 * @module
 */

import { checkPixels, type Pixels } from "./pixels.ts";

/** The alpha of an opaque pixel. */
const OPAQUE = 255;

/**
 * Adds an opaque alpha channel.
 *
 * @param pixels The picture.
 * @returns The content of a canvas with this picture.
 * @throws {InputError} if the data of the pixels does not match their size.
 */
export function toRgba(pixels: Pixels): ImageData {
  checkPixels(pixels);
  const { width, height, data } = pixels;
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    rgba[to] = data[from]!;
    rgba[to + 1] = data[from + 1]!;
    rgba[to + 2] = data[from + 2]!;
  }
  // The codecs read no other members, and not every runtime has the class.
  return { width, height, data: rgba, colorSpace: "srgb" } as ImageData;
}

/**
 * Separates the alpha channel.
 *
 * @param image The output of a codec.
 * @returns The picture, with `alpha` if a pixel is not opaque.
 */
export function fromRgba({ width, height, data }: ImageData): Pixels {
  const rgb = new Uint8Array(width * height * 3);
  const alpha = new Uint8Array(width * height);
  for (let from = 3, to = 0; to < alpha.length; from += 4, to++) alpha[to] = data[from]!;
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  return withAlpha({ width, height, data: rgb }, alpha);
}

/** Adds the opacity of pixels to a picture unless all of them are opaque. */
export function withAlpha(pixels: Pixels, alpha: Uint8Array): Pixels {
  return alpha.every((value) => value === OPAQUE) ? pixels : { ...pixels, alpha };
}
