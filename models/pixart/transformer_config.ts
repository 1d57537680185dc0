// This module is browser compatible.

/**
 * `transformer/config.json` of PixArt-α and -Σ.
 *
 * @module
 */

import * as z from "zod";
import { only, size } from "../config_schema.ts";

/**
 * The transformer's configuration, with the names and defaults of diffusers' `PixArtTransformer2DModel`. Keys
 * that do not affect the computation are dropped. Unsupported values are rejected.
 */
export const PixArtTransformerConfig = z.object({
  num_attention_heads: size.default(16),
  attention_head_dim: size.default(72),
  in_channels: size.default(4),
  out_channels: size.nullable().default(8),
  num_layers: size.default(28),
  cross_attention_dim: size.default(1152),
  attention_bias: z.boolean().default(true),
  sample_size: size.default(128),
  patch_size: size.default(2),
  activation_fn: only("gelu-approximate", "gelu"),
  upcast_attention: z.boolean().default(false),
  norm_type: only("ada_norm_single"),
  norm_elementwise_affine: only(false),
  norm_eps: z.number().positive().default(1e-6),
  interpolation_scale: z.number().positive().nullable().default(null),
  use_additional_conditions: z.boolean().nullable().default(null),
  caption_channels: size.nullable().default(null),
  attention_type: only("default"),
}).transform((config) => ({
  ...config,
  out_channels: config.out_channels ?? config.in_channels,
  interpolation_scale: config.interpolation_scale ?? Math.max(Math.floor(config.sample_size / 64), 1),
  use_additional_conditions: config.use_additional_conditions ?? config.sample_size === 128,
  /**
   * Number of channels of the text embeddings. Without caption channels, they reach the blocks unprojected.
   */
  text_channels: config.caption_channels ?? config.cross_attention_dim,
})).superRefine(({ in_channels, out_channels }, context) => {
  // Additional output channels are a learned variance, one per input channel.
  if (out_channels === in_channels || out_channels === 2 * in_channels) return;
  context.addIssue({
    code: "custom",
    path: ["out_channels"],
    message: `must be in_channels or twice that, ${in_channels} or ${2 * in_channels}`,
  });
});

/** The output of the schema of the same name. */
export type PixArtTransformerConfig = z.infer<typeof PixArtTransformerConfig>;
