// This module is browser compatible.

/**
 * T5's relative position buckets: the index of the learned bias for each pair of tokens. Raffel et al.,
 * "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer"
 * (https://arxiv.org/abs/1910.10683), section 2.1; reference: `_relative_position_bucket` in
 * transformers/models/t5/modeling_t5.py, bidirectional.
 *
 * @module
 */

import { type Tensor, tensor } from "../../artifacts/tensor.ts";

/** Options for assigning distances to buckets. */
export interface BucketOptions {
  /** Number of buckets. Half of them are for keys after the query. */
  readonly buckets: number;
  /** Distance from which all positions share the last bucket. */
  readonly maxDistance: number;
}

/**
 * Returns the bucket of a relative position. Near positions have one bucket each; distant ones share buckets
 * of logarithmic width.
 *
 * @param relative Position of the key minus position of the query.
 * @param options The buckets.
 * @returns Zero-based index of the bucket.
 */
export function positionBucket(relative: number, options: BucketOptions): number {
  const half = Math.floor(options.buckets / 2);
  const direction = relative > 0 ? half : 0;
  const distance = Math.abs(relative);
  const exact = Math.floor(half / 2);
  if (distance < exact) return direction + distance;
  const log = Math.fround(Math.log(Math.fround(distance / exact)));
  const ratio = Math.fround(log / Math.fround(Math.log(options.maxDistance / exact)));
  const bucket = exact + Math.trunc(Math.fround(ratio * (half - exact)));
  return direction + Math.min(bucket, half - 1);
}

/**
 * Returns the buckets of all pairs of a text's tokens.
 *
 * @param tokens Number of tokens.
 * @param options The buckets.
 * @returns [queries, keys].
 */
export function positionBuckets(tokens: number, options: BucketOptions): Tensor<"int32"> {
  const data = new Int32Array(tokens * tokens);
  for (let query = 0; query < tokens; query++) {
    for (let key = 0; key < tokens; key++) data[query * tokens + key] = positionBucket(key - query, options);
  }
  return tensor("int32", [tokens, tokens], data);
}
