// This module is browser compatible.

/**
 * Resizes 8-bit pictures to the same bytes as Pillow 13 with `Image.LANCZOS`. diffusers' image processor does
 * this with every input picture.
 *
 * Source: `precompute_coeffs`, `ImagingResampleInner` and the 8-bit passes of Pillow's `src/libImaging/Resample.c`; Lanczos, "Applied
 * Analysis" (1956), for the window.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { checkPixels, type Pixels } from "./pixels.ts";

/** Lobes of the window. */
const LOBES = 3;
/** Fractional bits of a weight. */
const FRACTION_BITS = 22;
const ONE = 2 ** FRACTION_BITS;
const CHANNELS = 3;

/** The values of a line that contribute to each value of the resized line. */
interface Taps {
  /** The first value. */
  readonly first: Int32Array;
  /** The maximum number of values. */
  readonly count: number;
  /** The weights as integers, `count` for each value of the resized line. */
  readonly weights: Float64Array;
}

/**
 * Resizes a picture without keeping its aspect ratio.
 *
 * @param pixels The picture.
 * @param height Requested height in pixels.
 * @param width Requested width in pixels.
 * @returns The picture in that size; `pixels` itself if it already has that size.
 * @throws {InputError} if the data does not match the picture's size, or the requested size is not an integer
 * above 0.
 *
 * @example Usage
 * ```ts
 * import { resizeLanczos } from "./resize_lanczos.ts";
 *
 * const grey = { width: 4, height: 4, data: new Uint8Array(48).fill(128) };
 * console.assert(resizeLanczos(grey, 8, 6).data.every((value) => value === 128));
 * ```
 */
export function resizeLanczos(pixels: Pixels, height: number, width: number): Pixels {
  checkPixels(pixels);
  if (!Number.isSafeInteger(height) || !Number.isSafeInteger(width) || height < 1 || width < 1) {
    throw new InputError(
      "out_of_range",
      `Cannot resize because height and width must be integers above 0: current value is ${height} × ${width}`,
    );
  }
  // Each pass rounds to 8 bits, and a pass that changes nothing is skipped, so the order matters. Since version
  // 13, Pillow begins with the pass that leaves less work for the other one.
  const lostRows = pixels.height - height;
  const columnsFirst = lostRows > 0 && lostRows > 2 * (pixels.width - width);
  const passes = [
    (given: Pixels) => width === given.width ? given : resizeRows(given, width),
    (given: Pixels) => height === given.height ? given : resizeColumns(given, height),
  ];
  return (columnsFirst ? passes.reverse() : passes).reduce((resized, pass) => pass(resized), pixels);
}

function resizeRows({ width: from, height, data }: Pixels, width: number): Pixels {
  const { first, count, weights } = lanczosTaps(from, width);
  const resized = new Uint8Array(height * width * CHANNELS);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const start = (y * from + first[x]!) * CHANNELS;
      let [red, green, blue] = [0, 0, 0];
      for (let tap = 0, at = start; tap < count; tap++, at += CHANNELS) {
        const weight = weights[x * count + tap]!;
        if (weight === 0) continue;
        red += weight * data[at]!;
        green += weight * data[at + 1]!;
        blue += weight * data[at + 2]!;
      }
      const to = (y * width + x) * CHANNELS;
      resized[to] = toByte(red);
      resized[to + 1] = toByte(green);
      resized[to + 2] = toByte(blue);
    }
  }
  return { width, height, data: resized };
}

function resizeColumns({ width, height: from, data }: Pixels, height: number): Pixels {
  const { first, count, weights } = lanczosTaps(from, height);
  const line = width * CHANNELS;
  const resized = new Uint8Array(height * line);
  const sums = new Float64Array(line);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (let tap = 0; tap < count; tap++) {
      const weight = weights[y * count + tap]!;
      if (weight === 0) continue;
      const row = data.subarray((first[y]! + tap) * line, (first[y]! + tap + 1) * line);
      for (let i = 0; i < line; i++) sums[i]! += weight * row[i]!;
    }
    for (let i = 0; i < line; i++) resized[y * line + i] = toByte(sums[i]!);
  }
  return { width, height, data: resized };
}

/** Rounds a sum of weighted bytes and clamps it to a byte. */
function toByte(sum: number): number {
  return Math.min(Math.max(Math.floor((sum + ONE / 2) / ONE), 0), 255);
}

/** Returns the taps of a line of `size` values that is resized to `wanted`. */
function lanczosTaps(size: number, wanted: number): Taps {
  const scale = size / wanted;
  // A line that shrinks is smoothed first: the window is wider by the same factor.
  const stretch = Math.max(scale, 1);
  const support = LOBES * stretch;
  const count = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(wanted);
  const weights = new Float64Array(wanted * count);
  for (let i = 0; i < wanted; i++) {
    const centre = (i + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), size);
    const shares = Array.from(
      { length: end - low },
      (_, tap) => lanczos((tap + low - centre + 0.5) / stretch),
    );
    const sum = shares.reduce((total, share) => total + share, 0);
    first[i] = low;
    for (const [tap, share] of shares.entries()) {
      const scaled = share / sum * ONE;
      weights[i * count + tap] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
  }
  return { first, count, weights };
}

function lanczos(x: number): number {
  return Math.abs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
