// This module is browser compatible.

import type { Component } from "../checkpoint/component.ts";
import type { ComponentName } from "../checkpoint/model_index.ts";
import { parseConfig } from "../checkpoint/parse_config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { t5EncoderSegments } from "../t5/encoder.ts";
import { T5EncoderConfig } from "../t5/encoder_config.ts";
import { AutoencoderConfig } from "../vae/autoencoder_config.ts";
import { autoencoderKLDecoderSegments } from "../vae/autoencoder_kl.ts";
import { autoencoderTinyDecoderGraph } from "../vae/autoencoder_tiny.ts";
import { pixartStepSegments, pixartTextGraph } from "./transformer.ts";
import { PixArtTransformerConfig } from "./transformer_config.ts";

/** Shards can be in different folders, from which a single graph of all layers could not read. */
const ONE_LAYER = { layersPerSegment: 1 };

/** Builds every graph that a run builds for a component. Each graph locates the tensors that it names. */
export function buildPixartGraphs(name: ComponentName, component: Component, weights: Weights): void {
  switch (name) {
    case "transformer": {
      const config = parseConfig(PixArtTransformerConfig, component);
      pixartTextGraph(config, weights);
      pixartStepSegments(config, weights, ONE_LAYER);
      break;
    }
    case "controlnet":
      // Its graphs depend on the transformer, so the denoiser checks them.
      break;
    case "text_encoder":
      t5EncoderSegments(parseConfig(T5EncoderConfig, component), weights, ONE_LAYER);
      break;
    case "vae": {
      const config = parseConfig(AutoencoderConfig, component);
      if (config._class_name === "AutoencoderKL") autoencoderKLDecoderSegments(config, weights, ONE_LAYER);
      else autoencoderTinyDecoderGraph(config, weights);
    }
  }
}
