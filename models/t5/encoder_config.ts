// This module is browser compatible.

/**
 * `text_encoder/config.json` of a T5 encoder.
 *
 * @module
 */

import * as z from "zod";
import { only, size } from "../config_schema.ts";

/**
 * Activations of the feed-forward layers, with transformers' names. `gelu_new` is the tanh approximation of
 * GELU.
 */
const ACTIVATIONS = ["relu", "gelu", "gelu_new", "silu"] as const;

/** An activation of the feed-forward layers. */
export type T5Activation = typeof ACTIVATIONS[number];

/**
 * The text encoder's configuration, with the names and defaults of transformers' `T5Config`. Keys that do not
 * affect the computation are dropped. Unsupported values are rejected.
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
  feed_forward_proj: z.string().regex(/^(gated-)?[^-]+$/, 'must be an activation, optionally after "gated-"')
    .default("relu"),
  dense_act_fn: z.string().optional(),
  is_gated_act: z.boolean().optional(),
  is_decoder: only(false),
}).transform(({ dense_act_fn, is_gated_act, feed_forward_proj, ...config }, context) => {
  // T5 1.1 calls the tanh approximation plain GELU. Explicit keys saved by transformers take precedence over
  // the name.
  const named = feed_forward_proj === "gated-gelu" ? "gelu_new" : feed_forward_proj.replace(/^gated-/, "");
  const asked = dense_act_fn ?? named;
  const activation = ACTIVATIONS.find((known) => known === asked);
  if (activation === undefined) {
    const known = dense_act_fn === undefined
      ? ACTIVATIONS.flatMap((activation) => [activation, `gated-${activation}`])
      : ACTIVATIONS;
    const message = `must be one of ${known.join(", ")}`;
    const path = [dense_act_fn === undefined ? "feed_forward_proj" : "dense_act_fn"];
    context.addIssue({ code: "custom", path, message });
    return z.NEVER;
  }
  return {
    ...config,
    /** Activation of the inner layer's output. */
    activation,
    /** Whether a second inner layer gates the first. */
    is_gated: is_gated_act ?? feed_forward_proj.startsWith("gated-"),
  };
});

/** The output of the schema of the same name. */
export type T5EncoderConfig = z.infer<typeof T5EncoderConfig>;
