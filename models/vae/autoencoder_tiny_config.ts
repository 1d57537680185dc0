// This module is browser compatible.

/**
 * `config.json` of a tiny autoencoder (TAESD).
 *
 * @module
 */

import * as z from "zod";
import { only, size } from "../config_schema.ts";

const channels = z.array(size).nonempty().default([64, 64, 64, 64]);

/**
 * The autoencoder's configuration, with the names and defaults of diffusers' `AutoencoderTiny`. Keys that do
 * not affect the computation are dropped. Unsupported values are rejected.
 */
export const AutoencoderTinyConfig = z.object({
  _class_name: only("AutoencoderTiny"),
  in_channels: size.default(3),
  out_channels: size.default(3),
  encoder_block_out_channels: channels,
  decoder_block_out_channels: channels,
  act_fn: only("relu"),
  upsample_fn: only("nearest"),
  latent_channels: size.default(4),
  upsampling_scaling_factor: only(2),
  num_encoder_blocks: z.array(size).nonempty().default([1, 3, 3, 3]),
  num_decoder_blocks: z.array(size).nonempty().default([3, 3, 3, 1]),
  scaling_factor: z.number().positive().default(1),
  shift_factor: z.number().nullable().default(0),
}).superRefine((config, context) => {
  for (const half of ["encoder", "decoder"] as const) {
    const blocks = config[`num_${half}_blocks`].length;
    const channels = config[`${half}_block_out_channels`].length;
    if (blocks !== channels) {
      context.addIssue({
        code: "custom",
        path: [`num_${half}_blocks`],
        message: `must be as long as ${half}_block_out_channels, ${channels}: current length is ${blocks}`,
      });
    }
  }
});

/** The output of the schema of the same name. */
export type AutoencoderTinyConfig = z.infer<typeof AutoencoderTinyConfig>;
