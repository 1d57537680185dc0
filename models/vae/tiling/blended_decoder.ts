// This module is browser compatible.

/**
 * Decodes a picture tile by tile, each for itself, and blends where they overlap: less exact than one piece, as each
 * tile's norms see that tile alone. Reference: `AutoencoderKL.tiled_decode` of diffusers.
 *
 * @module
 */

import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { CallOptions } from "../../segments.ts";
import type { VaeDecoder } from "../decoder_runner.ts";
import { type Tile, tileGrid } from "./tile_grid.ts";

/** Sizes of tiles, in pixels. */
export interface BlendOptions {
  /** Height and width of a tile. */
  readonly tileSize: number;
  /** Pixels that neighbours share at least. */
  readonly tileOverlap: number;
}

/**
 * Decodes latents tile by tile.
 *
 * @param decoder Decodes each tile.
 * @param latents [1, latent channels, h, w], divided by the scaling factor.
 * @param options Sizes of tiles, and a signal that is looked at before each.
 * @returns [1, 3, H, W], in about [-1, 1], not clamped.
 * @throws {InputError} if tiles are no larger than their overlap.
 */
export async function decodeBlended(
  decoder: Pick<VaeDecoder, "decode" | "spatialFactor">,
  latents: Tensor<"float32">,
  options: BlendOptions & CallOptions,
): Promise<Tensor<"float32">> {
  const { spatialFactor } = decoder;
  const [, , height = 0, width = 0] = latents.shape;
  const size = Math.round(options.tileSize / spatialFactor);
  const overlap = Math.round(options.tileOverlap / spatialFactor);
  const columns = tileGrid(width, size, overlap, spatialFactor);
  let picture: Tensor<"float32"> | undefined;
  for (const row of tileGrid(height, size, overlap, spatialFactor)) {
    for (const column of columns) {
      options.signal?.throwIfAborted();
      const tile = await decoder.decode(cutTile(latents, row, column), options);
      const channels = tile.shape[1]!;
      picture ??= tensor(
        "float32",
        [1, channels, height * spatialFactor, width * spatialFactor],
        new Float32Array(channels * height * width * spatialFactor ** 2),
      );
      addTile(picture, tile, row, column, spatialFactor);
    }
  }
  return picture!;
}

function cutTile({ shape, data }: Tensor<"float32">, row: Tile, column: Tile): Tensor<"float32"> {
  const [, channels = 0, height = 0, width = 0] = shape;
  const tile = new Float32Array(channels * row.size * column.size);
  for (let line = 0; line < channels * row.size; line++) {
    const channel = Math.floor(line / row.size);
    const start = (channel * height + row.start + line % row.size) * width + column.start;
    tile.set(data.subarray(start, start + column.size), line * column.size);
  }
  return tensor("float32", [1, channels, row.size, column.size], tile);
}

function addTile(
  picture: Tensor<"float32">,
  tile: Tensor<"float32">,
  row: Tile,
  column: Tile,
  spatialFactor: number,
): void {
  const [, channels = 0, height = 0, width = 0] = picture.shape;
  const lines = row.weights.length;
  const points = column.weights.length;
  for (let channel = 0; channel < channels; channel++) {
    for (let line = 0; line < lines; line++) {
      const from = (channel * lines + line) * points;
      const to = (channel * height + row.start * spatialFactor + line) * width + column.start * spatialFactor;
      const weight = row.weights[line]!;
      for (let point = 0; point < points; point++) {
        picture.data[to + point]! += weight * column.weights[point]! * tile.data[from + point]!;
      }
    }
  }
}
