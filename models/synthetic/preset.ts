// This module is browser compatible.

import type { JsonObject } from "../../artifacts/artifact.ts";
import type { FloatDType } from "../../artifacts/half_precision.ts";
import type { RequiredWeight } from "./required_weights.ts";

/** The weights of one component. */
export interface SyntheticWeights {
  /** Common beginning of the paths of its files: `vae/diffusion_pytorch_model`. */
  readonly stem: string;
  /** The component's weights, in the order in which they are distributed to shards. */
  readonly weights: readonly RequiredWeight[];
  /**
   * Maximum size of a shard in bytes, counted in float32, as in save_pretrained. A single file is written if
   * omitted.
   */
  readonly shardBytes?: number | undefined;
}

/** The description of a synthetic checkpoint: everything except the values of its weights. */
export interface SyntheticPreset {
  /** JSON files by path, except `model_index.json`. */
  readonly files: Readonly<Record<string, JsonObject>>;
  /** Content of `model_index.json`. */
  readonly index: JsonObject;
  /** Number of pieces of the tokenizer. */
  readonly pieces: number;
  /** The components. */
  readonly components: readonly SyntheticWeights[];
}

/** Creates the preset of a checkpoint with this element type. */
export type MakeSyntheticPreset = (dtype: FloatDType) => SyntheticPreset;
