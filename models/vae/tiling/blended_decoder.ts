// This module is browser compatible.

/**
 * Decodes a picture in independent tiles and blends their overlaps. This is less exact than decoding in one
 * piece because each tile's norms see only that tile. The layout and blending of tiles follow diffusers:
 * `AutoencoderKL.tiled_decode` and `AutoencoderTiny._tiled_decode`.
 *
 * @module
 */

import { InputError } from "../../../errors/pixstage_error.ts";
import { type Tensor, tensor } from "../../../artifacts/tensor.ts";
import type { CallOptions } from "../../segments.ts";
import type { VaeDecoder } from "../decoder_runner.ts";
import { type BlendTile, EdgeBlender, MaskBlender } from "./tile_blending.ts";

/** Sizes of tiles in pixels. */
export interface BlendOptions {
  /** Height and width of a tile. */
  readonly tileSize: number;
  /** Overlap of adjacent tiles. */
  readonly tileOverlap: number;
}

/** The latents along one side of a tile. */
interface Span {
  readonly start: number;
  readonly size: number;
}

/**
 * Converts the side and the overlap of tiles from pixels to latents, with diffusers' rounding.
 *
 * @param options Both in pixels.
 * @param factor Number of pixels along each side of one latent.
 * @throws {InputError} if tiles are not larger than their overlap.
 */
export function tileLatents(
  { tileSize, tileOverlap }: BlendOptions,
  factor: number,
): { readonly size: number; readonly overlap: number } {
  const size = Math.round(tileSize / factor);
  const overlap = Math.round(tileOverlap / factor);
  if (size > overlap && overlap >= 0) return { size, overlap };
  throw new InputError(
    "out_of_range",
    `tileOverlap must be smaller than tileSize, ${tileSize}${
      tileOverlap < tileSize ? `, by at least one latent of ${factor} pixels` : ""
    }: current value is ${tileOverlap}`,
    { details: { field: "tileOverlap" } },
  );
}

/**
 * Decodes latents in tiles.
 *
 * @param decoder Decodes each tile.
 * @param latents [1, latent channels, h, w], divided by the scaling factor.
 * @param options Sizes of tiles, and an abort signal that is checked before each tile.
 * @returns [1, 3, H, W], about -1 to 1, not clamped.
 * @throws {InputError} if tiles are not larger than their overlap.
 */
export async function decodeBlended(
  decoder: Pick<VaeDecoder, "config" | "decode" | "spatialFactor">,
  latents: Tensor<"float32">,
  options: BlendOptions & CallOptions,
): Promise<Tensor<"float32">> {
  const { spatialFactor: factor, config } = decoder;
  const [, , height = 0, width = 0] = latents.shape;
  const { size, overlap } = tileLatents(options, factor);
  const isTiny = config._class_name === "AutoencoderTiny";
  // The reference's tiny autoencoder uses tiles even if the picture fits into one.
  if (!isTiny && height <= size && width <= size) return await decoder.decode(latents, options);
  const shape = [1, config.out_channels, height * factor, width * factor] as const;
  const picture = tensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b)));
  const blender = new (isTiny ? MaskBlender : EdgeBlender)(picture, {
    step: (size - overlap) * factor,
    extent: overlap * factor,
  });
  const columns = spans(width, size, size - overlap);
  for (const [row, rows] of spans(height, size, size - overlap).entries()) {
    for (const [column, across] of columns.entries()) {
      options.signal?.throwIfAborted();
      const { data } = await decoder.decode(cutTile(latents, rows, across), options);
      const tile: BlendTile = { data, height: rows.size * factor, width: across.size * factor, row, column };
      blender.add(tile);
    }
  }
  return picture;
}

/** Returns the tiles along a side, `step` apart. The last ones are truncated at the end of the side. */
function spans(length: number, size: number, step: number): Span[] {
  return Array.from({ length: Math.ceil(length / step) }, (_, index) => {
    const start = index * step;
    return { start, size: Math.min(size, length - start) };
  });
}

function cutTile({ shape, data }: Tensor<"float32">, row: Span, column: Span): Tensor<"float32"> {
  const [, channels = 0, height = 0, width = 0] = shape;
  const tile = new Float32Array(channels * row.size * column.size);
  for (let line = 0; line < channels * row.size; line++) {
    const channel = Math.floor(line / row.size);
    const start = (channel * height + row.start + line % row.size) * width + column.start;
    tile.set(data.subarray(start, start + column.size), line * column.size);
  }
  return tensor("float32", [1, channels, row.size, column.size], tile);
}
