// This module is browser compatible.

import type { JsonObject } from "../../artifacts/artifact.ts";
import type { FloatDType } from "../../artifacts/half_precision.ts";
import type { AskedWeight } from "./asked_weights.ts";

/** The weights of one component. */
export interface RehearsalWeights {
  /** Its files, without what tells the shards apart: `vae/diffusion_pytorch_model`. */
  readonly stem: string;
  /** Its weights, in the order in which they are cut into shards. */
  readonly weights: readonly AskedWeight[];
  /** Bytes of a shard, counted in float32, as save_pretrained cut them; one file otherwise. */
  readonly shardBytes?: number | undefined;
}

/** A checkpoint to rehearse with: everything but the values of its weights. */
export interface RehearsalPreset {
  /** JSON files by path, but for `model_index.json`. */
  readonly files: Readonly<Record<string, JsonObject>>;
  /** `model_index.json`. */
  readonly index: JsonObject;
  /** Pieces of the tokenizer. */
  readonly pieces: number;
  /** The components. */
  readonly components: readonly RehearsalWeights[];
}

/** Makes a checkpoint whose weights have an element type. */
export type MakeRehearsal = (dtype: FloatDType) => RehearsalPreset;
