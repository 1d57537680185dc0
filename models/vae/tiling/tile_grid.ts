// This module is browser compatible.

/**
 * Tiles along one side of a picture, and how much each counts where they overlap.
 *
 * @module
 */

import { InputError } from "../../../errors/pixstage_error.ts";

/** One tile along a side. */
export interface Tile {
  /** Its first latent. */
  readonly start: number;
  /** Its number of latents. */
  readonly size: number;
  /** How much each of its pixels counts; over all tiles the sum is 1 at each pixel. */
  readonly weights: Float32Array;
}

/**
 * Lays tiles along a side. All have the same size; neighbours overlap by `overlap` or more, and are blended linearly
 * there.
 *
 * @param length Latents of the side.
 * @param size Latents of a tile.
 * @param overlap Latents that neighbours share.
 * @param spatialFactor Pixels for each latent.
 * @throws {InputError} if tiles have no size, or overlap by all of it.
 */
export function tileGrid(length: number, size: number, overlap: number, spatialFactor: number): Tile[] {
  if (!(Number.isInteger(size) && Number.isInteger(overlap) && size > overlap && overlap >= 0)) {
    throw new InputError(
      "out_of_range",
      `Cannot tile as tiles must be larger than their overlap: current tile is ${
        size * spatialFactor
      } pixels, ` +
        `overlap ${overlap * spatialFactor}`,
    );
  }
  const tile = Math.min(size, length);
  const count = length === tile ? 1 : Math.ceil((length - overlap) / (tile - overlap));
  const starts = Array.from(
    { length: count },
    (_, index) => count === 1 ? 0 : Math.round(index * (length - tile) / (count - 1)),
  );
  const sums = new Float64Array(length * spatialFactor);
  const ramps = starts.map((start, index) => {
    const pixels = tile * spatialFactor;
    const shared = (other: number | undefined): number =>
      other === undefined ? 0 : (tile - Math.abs(other - start)) * spatialFactor;
    const before = shared(starts[index - 1]);
    const after = shared(starts[index + 1]);
    return Float64Array.from({ length: pixels }, (_, pixel) => {
      const ramp = Math.min(1, (pixel + 0.5) / before, (pixels - pixel - 0.5) / after);
      sums[start * spatialFactor + pixel]! += ramp;
      return ramp;
    });
  });
  return starts.map((start, index) => ({
    start,
    size: tile,
    weights: Float32Array.from(ramps[index]!, (ramp, pixel) => ramp / sums[start * spatialFactor + pixel]!),
  }));
}
