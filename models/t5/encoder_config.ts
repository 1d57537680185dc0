// This module is browser compatible.

/**
 * `text_encoder/config.json` of a T5 encoder.
 *
 * @module
 */

import * as z from "zod";
import { only, size } from "../config_schema.ts";

/** Feed-forward layers that are computed: T5's own, and T5 1.1's gated one with GELU in its tanh form. */
const FEED_FORWARD = ["relu", "gated-gelu"] as const;

/**
 * The text encoder's configuration, with the names and defaults of transformers' `T5Config`. Keys that do not change
 * the computation are dropped; values that are not computed here are refused.
 */
export const T5EncoderConfig = z.object({
  vocab_size: size.default(32128),
  d_model: size.default(512),
  d_kv: size.default(64),
  d_ff: size.default(2048),
  num_layers: size.default(6),
  num_heads: size.default(8),
  relative_attention_num_buckets: size.default(32),
  relative_attention_max_distance: size.default(128),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  feed_forward_proj: z.enum(FEED_FORWARD, {
    error: ({ input }) =>
      `Cannot compute this architecture as it must be one of ${FEED_FORWARD.join(", ")}: ` +
      `current value is ${JSON.stringify(input)}`,
  }).default("relu"),
  is_decoder: only(false),
});

/** See the schema of the same name. */
export type T5EncoderConfig = z.infer<typeof T5EncoderConfig>;
