// This module is browser compatible.

/**
 * What a run's memory depends on, read from configurations and headers alone.
 *
 * @module
 */

import { z } from "zod";
import { AutoencoderConfig } from "../models/autoencoder_config.ts";
import type { Component } from "../models/checkpoint/component.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { PixArtTransformerConfig } from "../models/pixart_transformer_config.ts";
import { T5EncoderConfig } from "../models/t5_encoder_config.ts";

/** A model of layers that run one after the other. */
export interface LayeredFacts {
  /** Bytes of all weights, as they are stored. */
  readonly weightBytes: number;
  /** Bytes of the largest layer. */
  readonly layerBytes: number;
  /** Share of the weights that can be quantized: the matrices of the layers. */
  readonly quantizable: number;
  /** Bytes of one weight as it is stored. */
  readonly storedBytes: number;
  /** Width of the activations between layers. */
  readonly width: number;
  /** Layers that have weights of their own. */
  readonly layers: number;
  /** Heads of attention. */
  readonly heads: number;
}

/** An autoencoder's weights that decoding needs. */
const DECODER = /^(decoder|post_quant_conv)\./;

/** What decoding depends on. */
export interface DecodeFacts {
  /** Bytes of the decoder's weights, as they are stored. */
  readonly weightBytes: number;
  /** The autoencoder. */
  readonly config: AutoencoderConfig;
}

/** A run, as far as its memory goes; parts that do not run are left out. */
export interface RunFacts {
  readonly encode?: LayeredFacts | undefined;
  readonly denoise?: LayeredFacts | undefined;
  readonly decode?: DecodeFacts | undefined;
  /** Height of the picture in pixels. */
  readonly height: number;
  /** Width of the picture in pixels. */
  readonly width: number;
  /** Pixels along a side of one token of the transformer. */
  readonly tokenSize: number;
  /** Whether there are two halves of guidance. */
  readonly guided: boolean;
  /** Tokens of the longest prompt, and of the longest negative one. */
  readonly textTokens: { readonly prompt: number; readonly negative: number };
  /** Pictures in the run. */
  readonly images: number;
}

/** Facts of a text encoder. */
export async function encodeFacts(component: Component): Promise<LayeredFacts> {
  const { d_model: width, num_heads: heads } = T5EncoderConfig.parse(component.config);
  return { ...layeredFacts(await component.weights(), /^encoder\.block\.(\d+)\./), width, heads };
}

/** Facts of a transformer. */
export async function denoiseFacts(component: Component): Promise<LayeredFacts> {
  const { num_attention_heads: heads, attention_head_dim } = PixArtTransformerConfig.parse(component.config);
  const width = heads * attention_head_dim;
  return { ...layeredFacts(await component.weights(), /^transformer_blocks\.(\d+)\./), width, heads };
}

/** Facts of an autoencoder. */
export async function decodeFacts(component: Component): Promise<DecodeFacts> {
  const weights = await component.weights();
  return {
    weightBytes: sumOf(weights, (name) => DECODER.test(name)),
    config: AutoencoderConfig.parse(component.config),
  };
}

function layeredFacts(weights: Weights, layer: RegExp): Omit<LayeredFacts, "width" | "heads"> {
  const layers = new Map<string, number>();
  let quantizable = 0;
  let elements = 0;
  for (const name of weights.names) {
    const { length, shape } = weights.locate(name);
    elements += shape.reduce((product, size) => product * size, 1);
    const index = layer.exec(name)?.[1];
    if (index === undefined) continue;
    layers.set(index, (layers.get(index) ?? 0) + length);
    if (shape.length === 2 && name.endsWith(".weight")) quantizable += length;
  }
  const weightBytes = sumOf(weights, () => true);
  return {
    weightBytes,
    layerBytes: Math.max(0, ...layers.values()),
    quantizable: weightBytes === 0 ? 0 : quantizable / weightBytes,
    storedBytes: elements === 0 ? 4 : weightBytes / elements,
    layers: layers.size,
  };
}

function sumOf(weights: Weights, wanted: (name: string) => boolean): number {
  return weights.names.filter(wanted).reduce((sum, name) => sum + weights.locate(name).length, 0);
}
