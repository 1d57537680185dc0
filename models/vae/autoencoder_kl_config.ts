// This module is browser compatible.

/**
 * `vae/config.json` of a latent diffusion autoencoder.
 *
 * @module
 */

import * as z from "zod";
import { only, size } from "../config_schema.ts";

/**
 * The autoencoder's configuration, with the names and defaults of diffusers' `AutoencoderKL`. Keys that do
 * not affect the computation are dropped. Unsupported values are rejected.
 */
export const AutoencoderKLConfig = z.object({
  _class_name: only("AutoencoderKL"),
  in_channels: size.default(3),
  out_channels: size.default(3),
  down_block_types: z.array(only("DownEncoderBlock2D")).nonempty().default(["DownEncoderBlock2D"]),
  up_block_types: z.array(only("UpDecoderBlock2D")).nonempty().default(["UpDecoderBlock2D"]),
  block_out_channels: z.array(size).nonempty().default([64]),
  layers_per_block: size.default(1),
  act_fn: only("silu"),
  latent_channels: size.default(4),
  norm_num_groups: size.default(32),
  sample_size: size.default(32),
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullable().default(null),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.boolean().default(true),
});

/** The output of the schema of the same name. */
export type AutoencoderKLConfig = z.infer<typeof AutoencoderKLConfig>;
