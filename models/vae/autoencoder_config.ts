// This module is browser compatible.

/**
 * The configuration of either autoencoder.
 *
 * @module
 */

import * as z from "zod";
import { AutoencoderKLConfig } from "./autoencoder_kl_config.ts";
import { AutoencoderTinyConfig } from "./autoencoder_tiny_config.ts";

/** Schema of the configuration, selected by the class that the file names. */
export const AutoencoderConfig = z.discriminatedUnion("_class_name", [
  AutoencoderKLConfig,
  AutoencoderTinyConfig,
]);

/** The output of the schema of the same name. */
export type AutoencoderConfig = z.infer<typeof AutoencoderConfig>;

/**
 * Returns the number of pixels along each side of one latent. Every level of the autoencoder except the last
 * halves the picture.
 */
export function spatialFactor(config: AutoencoderConfig): number {
  const { length } = config._class_name === "AutoencoderKL"
    ? config.block_out_channels
    : config.num_decoder_blocks;
  return 2 ** (length - 1);
}
