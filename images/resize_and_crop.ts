// This module is browser compatible.

/**
 * Converts pictures rendered at the size of a bin to the requested size.
 *
 * @module
 */

import { type Tensor, tensor } from "../artifacts/tensor.ts";
import { InputError } from "../errors/pixstage_error.ts";
import { imageSizes } from "./pixels.ts";

/** The source of each value of an output axis: two neighbours and the weight of the second. */
interface Taps {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly share: Float32Array;
}

/**
 * Resizes pictures until both axes cover a size, keeping the aspect ratio, and crops them to their centre.
 *
 * Bilinear without antialiasing, corners not aligned: `torch.nn.functional.interpolate`'s default, with its
 * coordinates in float32. Source: `PixArtImageProcessor.resize_and_crop_tensor` of diffusers.
 *
 * @param image Pictures as [n, 3, height, width].
 * @param height Requested height in pixels.
 * @param width Requested width in pixels.
 * @returns The pictures as [n, 3, `height`, `width`]; the tensor itself if it already has that size.
 * @throws {InputError} if the shape differs or is empty.
 * @throws {InputError} if the requested size is not an integer above 0.
 *
 * @example Usage
 * ```ts
 * import { tensor } from "../artifacts/tensor.ts";
 * import { resizeAndCrop } from "./resize_and_crop.ts";
 *
 * const wide = tensor("float32", [1, 3, 16, 32], new Float32Array(3 * 16 * 32));
 * const square = resizeAndCrop(wide, 24, 24); // [1, 3, 24, 24]
 * ```
 */
export function resizeAndCrop(image: Tensor<"float32">, height: number, width: number): Tensor<"float32"> {
  const { count, height: oldHeight, width: oldWidth } = imageSizes(image);
  if (!Number.isSafeInteger(height) || !Number.isSafeInteger(width) || height < 1 || width < 1) {
    throw new InputError(
      "out_of_range",
      `Cannot resize because height and width must be integers above 0: current value is ${height} × ${width}`,
    );
  }
  if (oldHeight === height && oldWidth === width) return image;
  if (image.data.length === 0) {
    throw new InputError(
      "invalid_shape",
      `Cannot resize because the image must not be empty: current shape is [${image.shape}]`,
    );
  }

  const ratio = Math.max(height / oldHeight, width / oldWidth);
  const rows = axisTaps(oldHeight, height, ratio);
  const columns = axisTaps(oldWidth, width, ratio);
  const data = new Float32Array(count * 3 * height * width);
  const upper = new Float32Array(width);
  const lower = new Float32Array(width);
  for (let plane = 0; plane < count * 3; plane++) {
    const source = image.data.subarray(plane * oldHeight * oldWidth, (plane + 1) * oldHeight * oldWidth);
    for (let y = 0; y < height; y++) {
      resampleRow(source.subarray(rows.low[y]! * oldWidth), columns, upper);
      resampleRow(source.subarray(rows.high[y]! * oldWidth), columns, lower);
      const share = rows.share[y]!;
      const start = (plane * height + y) * width;
      for (let x = 0; x < width; x++) data[start + x] = mix(upper[x]!, lower[x]!, share);
    }
  }
  return tensor("float32", [count, 3, height, width], data);
}

/** Returns the taps of the middle `wanted` values of an axis of `size` values resized by `ratio`. */
function axisTaps(size: number, wanted: number, ratio: number): Taps {
  // The double rounding of size * (wanted / size) can end one below `wanted`; the reference fails in that
  // case.
  const resized = Math.max(Math.trunc(size * ratio), wanted);
  const start = Math.floor((resized - wanted) / 2);
  const scale = Math.fround(size / resized);
  const taps = { low: new Int32Array(wanted), high: new Int32Array(wanted), share: new Float32Array(wanted) };
  for (let i = 0; i < wanted; i++) {
    const position = Math.max(Math.fround(Math.fround(scale * (start + i + 0.5)) - 0.5), 0);
    const low = Math.min(Math.floor(position), size - 1);
    taps.low[i] = low;
    taps.high[i] = Math.min(low + 1, size - 1);
    taps.share[i] = position - low;
  }
  return taps;
}

function resampleRow(row: Float32Array, { low, high, share }: Taps, into: Float32Array): void {
  for (let x = 0; x < into.length; x++) into[x] = mix(row[low[x]!]!, row[high[x]!]!, share[x]!);
}

function mix(a: number, b: number, shareOfB: number): number {
  return Math.fround(Math.fround(a * Math.fround(1 - shareOfB)) + Math.fround(b * shareOfB));
}
