// This module is browser compatible.

/**
 * The decoders of latent diffusion's autoencoders, shared by architectures.
 *
 * @module
 */

import { parseConfig } from "../checkpoint/parse_config.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import { tensor } from "../../artifacts/tensor.ts";
import type { DecoderModel, OpenDecoder } from "../architecture.ts";
import type { Component } from "../checkpoint/component.ts";
import { AutoencoderConfig, spatialFactor } from "./autoencoder_config.ts";
import { decoderFacts, decoderMemoryChoices } from "./memory.ts";
import { tileLatents } from "./tiling/blended_decoder.ts";
import { TiledVaeDecoder } from "./tiling/tiled_vae_decoder.ts";

/** Reads the configuration of an autoencoder's decoder. */
export function autoencoderDecoder(component: Component): DecoderModel {
  const config = parseConfig(AutoencoderConfig, component);
  const factor = spatialFactor(config);
  return {
    component,
    latentChannels: config.latent_channels,
    spatialFactor: factor,
    checkTiling({ tiling, tileSize, tileOverlap }) {
      if (tiling === "blended") tileLatents({ tileSize, tileOverlap }, factor);
      if (tiling === "seamless" && config._class_name !== "AutoencoderKL") {
        throw new InputError(
          "invalid_value",
          `Tiling "seamless" requires an AutoencoderKL, but the autoencoder is ` +
            `${config._class_name}. Choose the tiling "blended" or "none"`,
          { details: { field: "tiling" } },
        );
      }
    },
    memory: (weights, { latentHeight, latentWidth, images, resizedTo }, request) =>
      decoderMemoryChoices(
        decoderFacts(config, weights),
        { height: latentHeight * factor, width: latentWidth * factor, images, resizedTo },
        request,
      ),
    open: (runtime, weights, options): OpenDecoder => {
      const decoder = new TiledVaeDecoder(runtime, config, weights, options);
      const divisor = Math.fround(config.scaling_factor);
      return {
        decode: ({ shape, data }, callOptions) =>
          decoder.decode(tensor("float32", shape, data.map((value) => value / divisor)), callOptions),
        [Symbol.asyncDispose]: () => decoder.release(),
      };
    },
  };
}
