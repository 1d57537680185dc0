// This module is browser compatible.

/**
 * The parts in which a CPU processes a picture, so that a part fits its cache. Source of the numbers:
 * docs/speed.md.
 *
 * @module
 */

import type { AttentionWeights } from "../onnx/attended_values.ts";

/** Wanted number of rows of a part of a feed-forward layer. Making bytes takes many passes over its rows. */
const ROWS = { floats: 512, bytes: 256 };
/** Fewer rows make products slow. */
const LEAST_ROWS = 256;
/** Wanted number of a head's scores that are computed at a time, if all products of attention are of bytes. */
const SCORES = 512 * 1024;
/** Wanted number of queries of a head that are processed at a time, if only scores are products of bytes. */
const QUERIES = 256;
/** Fewer queries make products slow. */
const LEAST_QUERIES = 64;
/**
 * With more threads, each has few rows of a part, and waiting for each other costs more than the cache saves.
 * It does with 16 threads, and does not with 2.
 */
const MOST_THREADS = 4;

/**
 * Returns the number of equal parts into which a feed-forward layer splits the rows of a picture.
 *
 * @param rows Number of rows.
 * @param threads Number of threads per operator.
 * @param multiplies Whether the layer multiplies floats or bytes.
 */
export function rowParts(rows: number, threads: number, multiplies: "floats" | "bytes"): number {
  return threads > MOST_THREADS ? 1 : equalParts(rows, ROWS[multiplies], LEAST_ROWS);
}

/**
 * Returns the number of equal groups of heads, one head per thread, and the number of equal parts of their
 * queries, for attention that multiplies bytes. Both are 0 if it takes less time in float32.
 *
 * @param rows Number of rows.
 * @param heads Number of heads.
 * @param threads Number of threads per operator.
 * @param weights Type of the attention weights.
 */
export function scoreParts(
  rows: number,
  heads: number,
  threads: number,
  weights: AttentionWeights,
): [groups: number, parts: number] {
  if (rowParts(rows, threads, "bytes") === 1) return [0, 0];
  const queries = weights === "bytes" ? SCORES / rows : QUERIES;
  return [equalParts(heads, Math.min(threads, heads), 1), equalParts(rows, queries, LEAST_QUERIES)];
}

/** Returns the number of equal parts of at least `least` whose size is nearest to the wanted one. */
function equalParts(total: number, wanted: number, least: number): number {
  const most = Math.max(1, Math.floor(total / least));
  const possible = Array.from({ length: most }, (_, index) => index + 1).filter((n) => total % n === 0);
  const distance = (parts: number) => Math.abs(Math.log(total / parts / wanted));
  return possible.reduce((best, next) => distance(next) < distance(best) ? next : best);
}
