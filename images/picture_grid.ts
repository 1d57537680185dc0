// This module is browser compatible.

/**
 * Labelled pictures in rows and columns.
 *
 * @module
 */

import { letter, letteringHeight, letteringWidth, shortened } from "./lettering.ts";
import { checkPixels, type Pixels } from "./pixels.ts";

/** Options of a grid of pictures. */
export interface PictureGridOptions {
  /** A label above each column; none by default. */
  readonly columns?: readonly string[] | undefined;
  /** A label to the left of each row; none by default. */
  readonly rows?: readonly string[] | undefined;
  /**
   * Pixels between two pictures.
   *
   * @default {4}
   */
  readonly gap?: number;
}

/** Pixels between a label and its neighbours. */
const MARGIN = 8;
/** Maximum width of row labels in pixels. */
const WIDEST_LABEL = 320;

/**
 * Arranges pictures in a grid on white.
 *
 * @param pictures The pictures, row by row; their sizes can differ.
 * @param options Labels and gap.
 * @returns One picture.
 * @throws {InputError} if data does not match its size.
 */
export function pictureGrid(
  pictures: readonly (readonly Pixels[])[],
  { columns = [], rows = [], gap = 4 }: PictureGridOptions = {},
): Pixels {
  const all = pictures.flat();
  all.forEach((picture) => checkPixels(picture));
  const cell = {
    width: Math.max(1, ...all.map(({ width }) => width)),
    height: Math.max(1, ...all.map(({ height }) => height)),
  };
  const across = Math.max(1, ...pictures.map(({ length }) => length));
  const labels = Math.min(WIDEST_LABEL, Math.max(0, ...rows.map((label) => letteringWidth(label))));
  const left = labels === 0 ? 0 : labels + 2 * MARGIN;
  const top = columns.length === 0 ? 0 : letteringHeight() + 2 * MARGIN;
  const width = left + across * (cell.width + gap) - gap;
  const height = top + pictures.length * (cell.height + gap) - gap;
  const whole: Pixels = { width, height, data: new Uint8Array(width * height * 3).fill(255) };
  columns.forEach((label, column) => {
    const text = shortened(label, cell.width);
    const middle = Math.round((cell.width - letteringWidth(text)) / 2);
    letter(whole, text, left + column * (cell.width + gap) + middle, MARGIN);
  });
  pictures.forEach((row, index) => {
    const y = top + index * (cell.height + gap);
    const label = shortened(rows[index] ?? "", labels);
    letter(
      whole,
      label,
      MARGIN + labels - letteringWidth(label),
      y + Math.round((cell.height - letteringHeight()) / 2),
    );
    row.forEach((picture, column) => paste(picture, left + column * (cell.width + gap), y));
  });
  return whole;

  function paste(picture: Pixels, x: number, y: number): void {
    const stride = picture.width * 3;
    for (let line = 0; line < picture.height; line++) {
      whole.data.set(picture.data.subarray(line * stride, (line + 1) * stride), ((y + line) * width + x) * 3);
    }
  }
}
