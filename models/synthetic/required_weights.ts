// This module is browser compatible.

/**
 * Determines the weights that a model needs by building its graphs on placeholder weights.
 *
 * @module
 */

import { InternalError } from "../../errors/pixstage_error.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { autoencoderKLDecoderSegments, autoencoderKLEncoderGraph } from "../vae/autoencoder_kl.ts";
import { AutoencoderKLConfig } from "../vae/autoencoder_kl_config.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { t5EncoderSegments } from "../t5/encoder.ts";
import { T5EncoderConfig } from "../t5/encoder_config.ts";

/** A weight that a model needs. */
export interface RequiredWeight {
  /** Name of the weight in the checkpoint. */
  readonly name: string;
  /** Shape of the weight. */
  readonly shape: readonly number[];
}

/** Returns the weights of a T5 encoder in the order in which transformers saves them. */
export function t5Weights(config: JsonObject): RequiredWeight[] {
  const required = requiredWeights((weights) => t5EncoderSegments(T5EncoderConfig.parse(config), weights));
  // A sublayer's norm is saved after its matrices, but the graph requests it first. The same holds for the
  // position bias.
  const sublayer = (name: string): string => /^encoder\.block\.\d+\.layer\.\d+\./.exec(name)?.[0] ?? name;
  const rank = (name: string): number =>
    name.endsWith("layer_norm.weight") ? 2 : name.includes("relative_attention_bias") ? 1 : 0;
  const order = [
    ...new Set(required.filter(({ name }) => rank(name) !== 1).map(({ name }) => sublayer(name))),
  ];
  return required.toSorted((a, b) =>
    order.indexOf(sublayer(a.name)) - order.indexOf(sublayer(b.name)) || rank(a.name) - rank(b.name)
  );
}

/** Returns the weights of an autoencoder's encoder and decoder. */
export function autoencoderWeights(config: JsonObject): RequiredWeight[] {
  const parsed = AutoencoderKLConfig.parse(config);
  return requiredWeights((weights) => [
    autoencoderKLEncoderGraph(parsed, weights),
    autoencoderKLDecoderSegments(parsed, weights),
  ]);
}

/**
 * Returns the weights that graphs request while they are built.
 *
 * @param build Builds the graphs.
 */
export function requiredWeights(build: (weights: Weights) => unknown): RequiredWeight[] {
  const shapes = new Map<string, readonly number[]>();
  build({
    component: "synthetic",
    names: [],
    locate(name, shape = []) {
      shapes.set(name, shape);
      return { name, shape, dtype: "float32", folder: "", file: "", offset: 0, length: 0 };
    },
    has: () => false,
    read: unreadable,
    readElements: unreadable,
  });
  return Array.from(shapes, ([name, shape]) => ({ name, shape }));
}

function unreadable(): Promise<never> {
  return Promise.reject(new InternalError("Cannot read a placeholder weight"));
}
