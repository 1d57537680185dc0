// This module is browser compatible.

/**
 * The configuration of either autoencoder.
 *
 * @module
 */

import * as z from "zod";
import { AutoencoderKLConfig } from "./autoencoder_kl_config.ts";
import { AutoencoderTinyConfig } from "./autoencoder_tiny_config.ts";

/** The schema of the class that the file names. */
export const AutoencoderConfig = z.discriminatedUnion("_class_name", [
  AutoencoderKLConfig,
  AutoencoderTinyConfig,
]);

/** See the schema of the same name. */
export type AutoencoderConfig = z.infer<typeof AutoencoderConfig>;

/** Pixels along a side of one latent: every level of the autoencoder but the last halves the picture. */
export function spatialFactor(config: AutoencoderConfig): number {
  const { length } = config._class_name === "AutoencoderKL"
    ? config.block_out_channels
    : config.num_decoder_blocks;
  return 2 ** (length - 1);
}
