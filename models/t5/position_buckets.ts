// This module is browser compatible.

/**
 * T5's relative positions: which of the learned biases belongs to a pair of tokens. Raffel et al., "Exploring the
 * Limits of Transfer Learning with a Unified Text-to-Text Transformer" (https://arxiv.org/abs/1910.10683), section 2.1;
 * reference: `_relative_position_bucket` in transformers/models/t5/modeling_t5.py, both directions.
 *
 * @module
 */

import { type Tensor, tensor } from "../../artifacts/tensor.ts";

/** How distances are put into buckets. */
export interface BucketOptions {
  /** Number of buckets; half of them for keys after the query. */
  readonly buckets: number;
  /** Distances from here on share the last bucket. */
  readonly maxDistance: number;
}

/**
 * The bucket of a relative position: near ones have a bucket each, far ones share them logarithmically.
 *
 * @param relative Position of the key less position of the query.
 * @param options How distances are put into buckets.
 * @returns The bucket, from 0.
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
 * The buckets of all pairs of a text's tokens.
 *
 * @param tokens Number of tokens.
 * @param options How distances are put into buckets.
 * @returns [queries, keys].
 */
export function positionBuckets(tokens: number, options: BucketOptions): Tensor<"int32"> {
  const data = new Int32Array(tokens * tokens);
  for (let query = 0; query < tokens; query++) {
    for (let key = 0; key < tokens; key++) data[query * tokens + key] = positionBucket(key - query, options);
  }
  return tensor("int32", [tokens, tokens], data);
}
