/**
 * Measures the similarity of a generated picture and a training drawing by colours and edge directions in 8 x
 * 8 fields of their thumbnails.
 *
 * The features were chosen using training drawings only, comparing each with all others. The nearest drawing
 * showed the right emoji for 79% of them by colours, for 86% by edges, and for 89% by both.
 *
 * @module
 */

import type { Pixels } from "../../../images/pixels.ts";

/** Side of a thumbnail in pixels. */
export const THUMBNAIL_SIDE = 32;

/** Side of a field in pixels. */
const FIELD = 4;
const FIELDS = THUMBNAIL_SIDE / FIELD;
/** Number of distinct edge directions. */
const DIRECTIONS = 9;

/** Largest difference of a channel from the background at which a pixel counts as background. */
const BACKGROUND_RANGE = 24;

/** The features by which thumbnails are compared. */
export interface Features {
  /** Mean colour of each field, 0 to 1. */
  readonly colours: Float64Array;
  /** Strength of edges of each direction in each field, normalized to length 1. */
  readonly edges: Float64Array;
}

/** Returns the distance between two thumbnails. Without colours, only shapes are compared. */
export function distance(a: Features, b: Features, withColours: boolean): number {
  const edges = squaredDistance(a.edges, b.edges);
  return withColours ? edges + squaredDistance(a.colours, b.colours) / FIELDS ** 2 : edges;
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
}

/** Computes the features of a thumbnail. Its pixels are rows of three channels, 0 to 255. */
export function features(thumbnail: ArrayLike<number>): Features {
  const colours = new Float64Array(FIELDS ** 2 * 3);
  const edges = new Float64Array(FIELDS ** 2 * DIRECTIONS);
  for (let y = 0; y < THUMBNAIL_SIDE; y++) {
    for (let x = 0; x < THUMBNAIL_SIDE; x++) {
      const field = Math.floor(y / FIELD) * FIELDS + Math.floor(x / FIELD);
      for (let channel = 0; channel < 3; channel++) {
        colours[field * 3 + channel]! += at(thumbnail, x, y, channel) / FIELD ** 2;
      }
      const { strength, direction } = edge(thumbnail, x, y);
      const lower = Math.floor(direction);
      const share = direction - lower;
      edges[field * DIRECTIONS + lower % DIRECTIONS]! += strength * (1 - share);
      edges[field * DIRECTIONS + (lower + 1) % DIRECTIONS]! += strength * share;
    }
  }
  const roots = edges.map(Math.sqrt);
  const length = Math.hypot(...roots) || 1;
  return { colours, edges: roots.map((root) => root / length) };
}

function at(thumbnail: ArrayLike<number>, x: number, y: number, channel: number): number {
  return thumbnail[(y * THUMBNAIL_SIDE + x) * 3 + channel]! / 255;
}

/**
 * Returns the edge at a pixel in the channel where it is strongest. The direction is from 0 to DIRECTIONS.
 */
function edge(thumbnail: ArrayLike<number>, x: number, y: number): { strength: number; direction: number } {
  const inside = (place: number) => place > 0 && place < THUMBNAIL_SIDE - 1;
  let best = { strength: 0, direction: 0 };
  for (let channel = 0; channel < 3; channel++) {
    const across = inside(x) ? at(thumbnail, x + 1, y, channel) - at(thumbnail, x - 1, y, channel) : 0;
    const down = inside(y) ? at(thumbnail, x, y + 1, channel) - at(thumbnail, x, y - 1, channel) : 0;
    const strength = Math.hypot(across, down);
    if (strength <= best.strength) continue;
    const turn = Math.atan2(down, across) / Math.PI;
    best = { strength, direction: (turn - Math.floor(turn)) * DIRECTIONS };
  }
  return best;
}

/**
 * Computes the thumbnail of a picture in the same way as `thumbnails.py` does for training drawings. It
 * centres the drawing in a white square and averages it to a few pixels. Pixels with the colour of the
 * picture's first pixel are background.
 */
export function thumbnail(picture: Pixels): Float64Array {
  const { left, top, right, bottom } = drawnBox(picture);
  const side = Math.max(right - left, bottom - top);
  const x0 = left - Math.floor((side - (right - left)) / 2);
  const y0 = top - Math.floor((side - (bottom - top)) / 2);
  const sums = new Float64Array(THUMBNAIL_SIDE ** 2 * 3);
  // Every pixel of the square contributes to the cells that it covers, weighted by the covered share.
  const shares = coverage(side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const drawn = x0 + x >= left && x0 + x < right && y0 + y >= top && y0 + y < bottom &&
        !isBackground(picture, x0 + x, y0 + y);
      const place = ((y0 + y) * picture.width + x0 + x) * 3;
      for (const [row, tall] of shares[y]!) {
        for (const [column, wide] of shares[x]!) {
          for (let channel = 0; channel < 3; channel++) {
            const value = drawn ? picture.data[place + channel]! : 255;
            sums[(row * THUMBNAIL_SIDE + column) * 3 + channel]! += value * tall * wide;
          }
        }
      }
    }
  }
  return sums.map((sum) => sum / (side / THUMBNAIL_SIDE) ** 2);
}

/** Returns whether a pixel has nearly the same colour as the picture's first pixel. */
export function isBackground({ width, data }: Pixels, x: number, y: number): boolean {
  const place = (y * width + x) * 3;
  return [0, 1, 2].every((channel) => Math.abs(data[place + channel]! - data[channel]!) <= BACKGROUND_RANGE);
}

/** Returns the bounding box of the drawing. */
function drawnBox(picture: Pixels): { left: number; top: number; right: number; bottom: number } {
  const box = { left: picture.width, top: picture.height, right: 0, bottom: 0 };
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) {
      if (isBackground(picture, x, y)) continue;
      box.left = Math.min(box.left, x);
      box.top = Math.min(box.top, y);
      box.right = Math.max(box.right, x + 1);
      box.bottom = y + 1;
    }
  }
  return box;
}

/** Returns the cells that each pixel of a row of `side` pixels covers, and the share of the pixel in each. */
function coverage(side: number): [cell: number, share: number][][] {
  const scale = side / THUMBNAIL_SIDE;
  return Array.from({ length: side }, (_, pixel) => {
    const cells: [number, number][] = [];
    for (let cell = Math.floor(pixel / scale); cell < THUMBNAIL_SIDE && cell * scale < pixel + 1; cell++) {
      const share = Math.min(pixel + 1, (cell + 1) * scale) - Math.max(pixel, cell * scale);
      if (share > 0) cells.push([cell, share]);
    }
    return cells;
  });
}
