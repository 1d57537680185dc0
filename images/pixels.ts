// This module is browser compatible.

/**
 * Pixels: pictures outside of a model, with eight bits per channel in the order red, green, blue, row by row.
 *
 * @module
 */

import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";

/** A picture in memory: 8-bit RGB. */
export interface Pixels {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `height × width × 3` values, row by row, red, green, blue. */
  readonly data: Uint8Array;
  /**
   * The opacity of each pixel, `height × width` values, if the picture comes from a file and is not fully
   * opaque.
   */
  readonly alpha?: Uint8Array | undefined;
}

/**
 * Checks that the data of pixels matches their size.
 *
 * @param pixels The pixels.
 * @throws {InputError} if width or height is not an integer above 0, or if the data has another length.
 */
export function checkPixels(pixels: Pixels): void {
  const { width, height, data } = pixels;
  const whole = Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0;
  if (!whole || data.length !== width * height * 3) {
    throw new InputError(
      "invalid_shape",
      `Cannot use pixels of ${width} × ${height} with ${data.length} values: ` +
        (whole && data.length === width * height * 4
          ? "RGB is expected, not RGBA. Leave out the fourth value of each pixel"
          : "sizes must be integers above 0, and data must have width × height × 3 values"),
    );
  }
}

/** Adding and subtracting this rounds a small double to an integer, half to even. */
const ROUND_HALF_EVEN = 1.5 * 2 ** 52;

/**
 * Converts the output of a VAE to pixels: `round_half_even(clamp(x / 2 + 0.5, 0, 1) * 255)`, every operation
 * in float32.
 *
 * Source: `VaeImageProcessor.postprocess` and `numpy_to_pil` of diffusers.
 *
 * @param image Pictures as [n, 3, height, width], nominally in [-1, 1]; other values are clamped, and NaN
 * becomes black.
 * @returns One `Pixels` for each of the n pictures.
 * @throws {InputError} if the shape differs.
 *
 * @example Usage
 * ```ts
 * import { tensor } from "../artifacts/tensor.ts";
 * import { toPixels } from "./pixels.ts";
 *
 * const [grey] = toPixels(tensor("float32", [1, 3, 2, 2], new Float32Array(12)));
 * // grey.data is twelve times 128
 * ```
 */
export function toPixels(image: Tensor<"float32">): Pixels[] {
  const { count, height, width } = imageSizes(image);
  const plane = height * width;
  return Array.from({ length: count }, (_, n) => {
    const data = new Uint8Array(plane * 3);
    for (let channel = 0; channel < 3; channel++) {
      const start = (n * 3 + channel) * plane;
      for (let i = 0; i < plane; i++) {
        const shifted = Math.fround(Math.fround(image.data[start + i]! / 2) + 0.5);
        const value = Math.fround(Math.min(Math.max(shifted, 0), 1) * 255);
        data[i * 3 + channel] = value + ROUND_HALF_EVEN - ROUND_HALF_EVEN;
      }
    }
    return { width, height, data };
  });
}

/**
 * Converts pixels to an image tensor: `x / 255 * 2 - 1`, every operation in float32.
 *
 * Source: `VaeImageProcessor.preprocess` of diffusers.
 *
 * @param pictures At least one picture; all have the same size.
 * @returns The pictures as [n, 3, height, width] in [-1, 1].
 * @throws {InputError} if there is no picture, if the data of one does not match its size, or if sizes
 * differ.
 */
export function fromPixels(pictures: readonly Pixels[]): Tensor<"float32"> {
  const [first] = pictures;
  if (first === undefined) {
    throw new InputError(
      "invalid_shape",
      "Cannot create an image tensor without pictures: give at least one",
    );
  }
  const { width, height } = first;
  const plane = height * width;
  const data = new Float32Array(pictures.length * 3 * plane);
  for (const [n, picture] of pictures.entries()) {
    checkPixels(picture);
    if (picture.width !== width || picture.height !== height) {
      throw new InputError(
        "invalid_shape",
        `Cannot create one image tensor from pictures of different sizes: current sizes are ` +
          `${width} × ${height} and ${picture.width} × ${picture.height}`,
      );
    }
    for (let channel = 0; channel < 3; channel++) {
      const start = (n * 3 + channel) * plane;
      for (let i = 0; i < plane; i++) {
        data[start + i] = Math.fround(2 * Math.fround(picture.data[i * 3 + channel]! / 255)) - 1;
      }
    }
  }
  return tensor("float32", [pictures.length, 3, height, width], data);
}

/**
 * Reads the sizes of an image tensor.
 *
 * @param image Pictures as [n, 3, height, width].
 * @returns The number of pictures, and their size in pixels.
 * @throws {InputError} if the shape differs.
 */
export function imageSizes(image: Tensor<"float32">): { count: number; height: number; width: number } {
  const [count, channels, height, width] = image.shape;
  if (image.shape.length !== 4 || channels !== 3) {
    throw new InputError(
      "invalid_shape",
      `Cannot read a tensor as images: its shape must be [n, 3, height, width], but is [${image.shape}]`,
    );
  }
  return { count: count!, height: height!, width: width! };
}

/**
 * Throws if two pictures cannot be compared pixel by pixel.
 *
 * @throws {InputError} if the sizes differ, or if data does not match its size.
 */
export function checkSameSize(a: Pixels, b: Pixels): void {
  checkPixels(a);
  checkPixels(b);
  if (a.width !== b.width || a.height !== b.height) {
    throw new InputError(
      "invalid_shape",
      `Cannot compare pictures of different sizes: current sizes are ` +
        `${a.width} × ${a.height} and ${b.width} × ${b.height}`,
    );
  }
}
