// This module is browser compatible.

/** Number of rows whose activations in a feed-forward layer about fill the cache of two cores. */
const ROWS = 512;
/** Fewer rows make products slow. */
const LEAST_ROWS = 256;
/**
 * With more threads, each has few rows of a part, and waiting for each other costs more than the cache saves.
 * It does with 16 threads, and does not with 2.
 */
const MOST_THREADS = 4;

/**
 * Returns the number of equal parts into which a CPU splits the rows of a picture, so that it processes a part
 * within its cache. Source of the numbers: docs/speed.md.
 *
 * @param rows Number of rows.
 * @param threads Number of threads per operator.
 */
export function rowParts(rows: number, threads: number): number {
  const most = threads > MOST_THREADS ? 1 : Math.max(1, Math.floor(rows / LEAST_ROWS));
  const possible = Array.from({ length: most }, (_, index) => index + 1).filter((parts) =>
    rows % parts === 0
  );
  const distance = (parts: number) => Math.abs(Math.log(rows / parts / ROWS));
  return possible.reduce((best, next) => distance(next) < distance(best) ? next : best);
}
