// This module is browser compatible.

/**
 * Says whether a run could use a component, by its configuration and the headers of its weights alone.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";
import { AutoencoderConfig } from "./autoencoder_config.ts";
import { autoencoderKLDecoderSegments } from "./autoencoder_kl.ts";
import { autoencoderTinyDecoderGraph } from "./autoencoder_tiny.ts";
import type { Component } from "./checkpoint/component.ts";
import type { ComponentName } from "./checkpoint/model_index.ts";
import type { Weights } from "./checkpoint/weights.ts";
import { pixartStepSegments, pixartTextGraph } from "./pixart_transformer.ts";
import { PixArtTransformerConfig } from "./pixart_transformer_config.ts";
import { t5EncoderSegments } from "./t5_encoder.ts";
import { T5EncoderConfig } from "./t5_encoder_config.ts";

/** Shards may lie in several folders, which a graph of all layers could not read from. */
const ONE_LAYER = { layersPerSegment: 1 };

/**
 * Refuses a component that no run could use: its configuration must be supported, and its files must hold
 * every tensor that its graphs name, in the shape that the configuration asks for. Reads the headers of the
 * files at most.
 *
 * @param name Which component it is.
 * @param component The component.
 * @returns Its weights.
 * @throws {CheckpointError} if a file or a tensor is missing, or a tensor has another shape or an unknown
 *   type.
 *
 * @example Usage
 * ```ts ignore
 * import { checkComponent } from "./check_component.ts";
 * import { openComponent } from "./checkpoint/component.ts";
 * import { openDiskSource } from "./checkpoint/disk_source.ts";
 * const vae = await openComponent(await openDiskSource("models/taesd"));
 * const weights = await checkComponent("vae", vae);
 * ```
 */
export async function checkComponent(name: ComponentName, component: Component): Promise<Weights> {
  const weights = await component.weights();
  buildGraphs(name, component.config, weights);
  return weights;
}

/** Builds all graphs that a run builds: each asks the weights for the tensors that it names. */
function buildGraphs(name: ComponentName, config: JsonObject, weights: Weights): void {
  switch (name) {
    case "transformer": {
      const transformer = PixArtTransformerConfig.parse(config);
      pixartTextGraph(transformer, weights);
      pixartStepSegments(transformer, weights, ONE_LAYER);
      break;
    }
    case "text_encoder":
      t5EncoderSegments(T5EncoderConfig.parse(config), weights, ONE_LAYER);
      break;
    case "vae": {
      const autoencoder = AutoencoderConfig.parse(config);
      if (autoencoder._class_name === "AutoencoderKL") {
        autoencoderKLDecoderSegments(autoencoder, weights, ONE_LAYER);
      } else {
        autoencoderTinyDecoderGraph(autoencoder, weights);
      }
    }
  }
}
