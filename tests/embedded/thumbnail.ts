/**
 * Thumbnails of pictures on white: what is drawn, in the middle of a square, 16 x 16 pixels. As `thumbnails.py` makes
 * them of the training drawings.
 *
 * @module
 */

import type { Pixels } from "../../images/pixels.ts";

/** Pixels along a side of a thumbnail. */
export const THUMBNAIL_SIDE = 16;

/** How far a channel may be from white to count as not drawn. */
const WHITE = 255 - 24;

/** The thumbnail of a picture. */
export function thumbnail(picture: Pixels): Float64Array {
  const { left, top, right, bottom } = drawnBox(picture);
  const side = Math.max(right - left, bottom - top);
  const x0 = left - Math.floor((side - (right - left)) / 2);
  const y0 = top - Math.floor((side - (bottom - top)) / 2);
  const sums = new Float64Array(THUMBNAIL_SIDE ** 2 * 3);
  // Every pixel of the square adds to the cells that it covers, by how much of each.
  const shares = coverage(side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const inside = x0 + x >= left && x0 + x < right && y0 + y >= top && y0 + y < bottom;
      const at = ((y0 + y) * picture.width + x0 + x) * 3;
      for (const [row, tall] of shares[y]!) {
        for (const [column, wide] of shares[x]!) {
          for (let channel = 0; channel < 3; channel++) {
            const value = inside ? picture.data[at + channel]! : 255;
            sums[(row * THUMBNAIL_SIDE + column) * 3 + channel]! += value * tall * wide;
          }
        }
      }
    }
  }
  return sums.map((sum) => sum / (side / THUMBNAIL_SIDE) ** 2);
}

/** The smallest box around what is drawn. */
function drawnBox(
  { width, height, data }: Pixels,
): { left: number; top: number; right: number; bottom: number } {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      if (Math.min(data[at]!, data[at + 1]!, data[at + 2]!) >= WHITE) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = y + 1;
    }
  }
  return box;
}

/** Which cells each pixel of a row of `side` pixels covers, and how much of the pixel lies in each. */
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
