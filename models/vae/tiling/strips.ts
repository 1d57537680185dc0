// This module is browser compatible.

/**
 * Computes the rows that a strip reads and the rows that it produces.
 *
 * @module
 */

/** Rows from `first` up to but excluding `end`. */
export interface RowRange {
  readonly first: number;
  readonly end: number;
}

/** The rows to read, and the part of the computed rows to keep. */
export interface StripRows extends RowRange {
  /** The first computed row to keep, and one past the last. */
  readonly crop: readonly [number, number];
}

/** Splits rows into strips of at most `height`. */
export function strips(rows: number, height: number): RowRange[] {
  return Array.from({ length: Math.ceil(rows / height) }, (_, index) => ({
    first: index * height,
    end: Math.min((index + 1) * height, rows),
  }));
}

/**
 * Returns the source rows of a strip.
 *
 * @param strip The rows to compute.
 * @param rows Number of rows of the picture, at the size of the strip.
 * @param halo Number of rows that convolutions see above and below.
 * @param doubled Whether the source has half as many rows because a convolution doubles them first.
 */
export function sourceRows(strip: RowRange, rows: number, halo: number, doubled: boolean): StripRows {
  const first = Math.max(0, strip.first - halo);
  const end = Math.min(rows, strip.end + halo);
  if (!doubled) return { first, end, crop: [strip.first - first, strip.end - first] };
  // A doubled row depends on its own small row and a neighbour: the one above for even rows, the one below
  // for odd rows.
  const small = { first: Math.max(0, (first - 1) >> 1), end: Math.min(rows >> 1, (end >> 1) + 1) };
  return { ...small, crop: [strip.first - 2 * small.first, strip.end - 2 * small.first] };
}

/**
 * Returns the source rows of a strip at half the size: two per row, and one more below if the picture has it.
 *
 * @param strip The rows to compute, at half the size.
 * @param rows Number of rows of the source.
 */
export function doubledRows({ first, end }: RowRange, rows: number): StripRows {
  return { first: 2 * first, end: Math.min(rows, 2 * end + 1), crop: [0, end - first] };
}
