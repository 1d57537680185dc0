// This module is browser compatible.

/**
 * Which rows a strip reads and which it gives.
 *
 * @module
 */

/** Rows from `first` up to, and without, `end`. */
export interface RowRange {
  readonly first: number;
  readonly end: number;
}

/** Rows to read, and which of the computed rows are wanted. */
export interface StripRows extends RowRange {
  /** First of the computed rows that is wanted, and one past the last. */
  readonly crop: readonly [number, number];
}

/** Cuts rows into strips of at most `height`. */
export function strips(rows: number, height: number): RowRange[] {
  return Array.from({ length: Math.ceil(rows / height) }, (_, index) => ({
    first: index * height,
    end: Math.min((index + 1) * height, rows),
  }));
}

/**
 * The rows that a strip is computed from.
 *
 * @param strip The rows that are wanted.
 * @param rows Rows of the picture, at the size of what is wanted.
 * @param halo Rows that convolutions see above and below.
 * @param doubled Whether the rows to read are half as many: a convolution doubles them first.
 */
export function sourceRows(strip: RowRange, rows: number, halo: number, doubled: boolean): StripRows {
  const first = Math.max(0, strip.first - halo);
  const end = Math.min(rows, strip.end + halo);
  if (!doubled) return { first, end, crop: [strip.first - first, strip.end - first] };
  // A doubled row is made from its own small row and a neighbour: the one above for even rows, below for odd ones.
  const small = { first: Math.max(0, (first - 1) >> 1), end: Math.min(rows >> 1, (end >> 1) + 1) };
  return { ...small, crop: [strip.first - 2 * small.first, strip.end - 2 * small.first] };
}

/**
 * The rows that a strip of half the rows is computed from: two for each, and one more below, where the picture has it.
 *
 * @param strip The rows that are wanted, at half the size.
 * @param rows Rows of the source.
 */
export function doubledRows({ first, end }: RowRange, rows: number): StripRows {
  return { first: 2 * first, end: Math.min(rows, 2 * end + 1), crop: [0, end - first] };
}
