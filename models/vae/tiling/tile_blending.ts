// This module is browser compatible.

/**
 * Combines decoded tiles into a picture. Overlaps are blended linearly with diffusers' arithmetic.
 *
 * @module
 */

import type { Tensor } from "../../../artifacts/tensor.ts";

const { fround } = Math;

/** A decoded tile. Tiles are added row by row. */
export interface BlendTile {
  /** Values [channels, height, width]; modified in place. */
  readonly data: Float32Array;
  /** Height in pixels. */
  readonly height: number;
  /** Width in pixels. */
  readonly width: number;
  /** Index of its row of tiles. */
  readonly row: number;
  /** Index of its column of tiles. */
  readonly column: number;
}

/** The layout of tiles in pixels. */
export interface BlendLayout {
  /** Distance between the starts of adjacent tiles. */
  readonly step: number;
  /** Overlap of adjacent tiles. */
  readonly extent: number;
}

/** The edge of a tile that is kept for blending with its neighbours. */
interface Edge {
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
}

/**
 * Blends tiles like `AutoencoderKL.tiled_decode`. It blends a tile's upper rows with the lowest rows of the
 * tile above, then its left columns with the rightmost columns of the previous tile; both neighbours are
 * already blended. The parts that the next tiles cover are cut off.
 */
export class EdgeBlender {
  readonly #picture: Tensor<"float32">;
  readonly #layout: BlendLayout;
  readonly #above = new Map<number, Edge>();
  #left: Edge | undefined;

  /**
   * @param picture Picture [1, channels, H, W] to fill.
   * @param layout The layout of tiles.
   */
  constructor(picture: Tensor<"float32">, layout: BlendLayout) {
    this.#picture = picture;
    this.#layout = layout;
  }

  /** Blends the next tile and copies it into the picture. */
  add(tile: BlendTile): void {
    const { step, extent } = this.#layout;
    const { data, height, width, row, column } = tile;
    const [, channels = 0] = this.#picture.shape;
    const above = this.#above.get(column);
    if (row > 0 && above) blendRows(above, tile, channels);
    if (column > 0 && this.#left) blendColumns(this.#left, tile, channels);
    const area = {
      top: row * step,
      left: column * step,
      height: Math.min(height, step),
      width: Math.min(width, step),
    };
    for (const { from, to, count } of lines(this.#picture, tile, area)) {
      this.#picture.data.set(data.subarray(from, from + count), to);
    }
    const rows = Math.min(extent, height);
    const columns = Math.min(extent, width);
    this.#above.set(column, cut(tile, channels, { top: height - rows, left: 0, height: rows, width }));
    this.#left = cut(tile, channels, { top: 0, left: width - columns, height, width: columns });
  }
}

/**
 * Blends tiles like `AutoencoderTiny._tiled_decode`: draws each tile over the picture and fades it in along
 * its upper and left edges.
 */
export class MaskBlender {
  readonly #picture: Tensor<"float32">;
  readonly #layout: BlendLayout;

  /**
   * @param picture Picture [1, channels, H, W] of zeros to fill.
   * @param layout The layout of tiles.
   */
  constructor(picture: Tensor<"float32">, layout: BlendLayout) {
    this.#picture = picture;
    this.#layout = layout;
  }

  /** Draws the next tile over the picture. */
  add(tile: BlendTile): void {
    const { step } = this.#layout;
    const { data: picture } = this.#picture;
    const { height, width, row, column } = tile;
    for (
      const { from, to, count, line } of lines(this.#picture, tile, {
        top: row * step,
        left: column * step,
        height,
        width,
      })
    ) {
      const weight = row === 0 ? 1 : this.#fade(line);
      for (let x = 0; x < count; x++) {
        const mask = column === 0 ? weight : fround(weight * this.#fade(x));
        picture[to + x] = fround(mask * tile.data[from + x]!) + fround(fround(1 - mask) * picture[to + x]!);
      }
    }
  }

  #fade(pixel: number): number {
    const { extent } = this.#layout;
    return extent < 2 ? 1 : Math.min(fround(pixel / (extent - 1)), 1);
  }
}

/** A rectangle of a tile or of the picture. */
interface Area {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** Yields the lines of all channels of an area, with their offsets in the tile and in the picture. */
function* lines(
  { shape }: Tensor<"float32">,
  tile: BlendTile,
  area: Area,
): Generator<{ from: number; to: number; count: number; line: number }> {
  const [, channels = 0, height = 0, width = 0] = shape;
  for (let channel = 0; channel < channels; channel++) {
    for (let line = 0; line < area.height; line++) {
      yield {
        from: (channel * tile.height + line) * tile.width,
        to: (channel * height + area.top + line) * width + area.left,
        count: area.width,
        line,
      };
    }
  }
}

/** Copies a rectangle of a tile. */
function cut(tile: BlendTile, channels: number, area: Area): Edge {
  const data = new Float32Array(channels * area.height * area.width);
  for (let line = 0; line < channels * area.height; line++) {
    const channel = Math.floor(line / area.height);
    const row = area.top + line % area.height;
    const start = (channel * tile.height + row) * tile.width + area.left;
    data.set(tile.data.subarray(start, start + area.width), line * area.width);
  }
  return { data, height: area.height, width: area.width };
}

/** Blends the lowest rows of the tile above into this tile's upper rows. */
function blendRows(above: Edge, tile: BlendTile, channels: number): void {
  const extent = Math.min(above.height, tile.height);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < extent; y++) {
      const from = (channel * above.height + above.height - extent + y) * above.width;
      const to = (channel * tile.height + y) * tile.width;
      const [fading, coming] = [fround(1 - y / extent), fround(y / extent)];
      for (let x = 0; x < tile.width; x++) {
        tile.data[to + x] = fround(above.data[from + x]! * fading) + fround(tile.data[to + x]! * coming);
      }
    }
  }
}

/** Blends the rightmost columns of the previous tile into this tile's left columns. */
function blendColumns(left: Edge, tile: BlendTile, channels: number): void {
  const extent = Math.min(left.width, tile.width);
  const skipped = left.width - extent;
  for (let line = 0; line < channels * tile.height; line++) {
    for (let x = 0; x < extent; x++) {
      const to = line * tile.width + x;
      const before = left.data[line * left.width + skipped + x]!;
      tile.data[to] = fround(before * fround(1 - x / extent)) + fround(tile.data[to]! * fround(x / extent));
    }
  }
}
