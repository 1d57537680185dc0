// This module is browser compatible.

/**
 * Synthetic checkpoints with the sizes of PixArt checkpoints.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import {
  autoencoderWeights,
  type RequiredWeight,
  requiredWeights,
  t5Weights,
} from "../synthetic/required_weights.ts";
import type { FloatDType } from "../../artifacts/half_precision.ts";
import type { MakeSyntheticPreset, SyntheticPreset } from "../synthetic/preset.ts";
import { pixartStepSegments, pixartTextGraph } from "./transformer.ts";
import { PixArtTransformerConfig } from "./transformer_config.ts";

/** The sizes of a checkpoint. */
interface Sizes {
  /** Content of `text_encoder/config.json`. */
  readonly textEncoder: JsonObject;
  /** Content of `transformer/config.json`. */
  readonly transformer: JsonObject;
  /** Content of `vae/config.json`. */
  readonly vae: JsonObject;
  /** Number of pieces of the tokenizer. */
  readonly pieces: number;
  /** Maximum size of the text encoder's shards in bytes, counted in float32, as in save_pretrained. */
  readonly shardBytes: number;
}

function textEncoder(sizes: JsonObject): JsonObject {
  return {
    architectures: ["T5EncoderModel"],
    d_kv: 64,
    decoder_start_token_id: 0,
    dense_act_fn: "gelu_new",
    dropout_rate: 0.1,
    eos_token_id: 1,
    feed_forward_proj: "gated-gelu",
    is_encoder_decoder: true,
    is_gated_act: true,
    layer_norm_epsilon: 1e-6,
    model_type: "t5",
    output_past: true,
    pad_token_id: 0,
    relative_attention_max_distance: 128,
    relative_attention_num_buckets: 32,
    tie_word_embeddings: false,
    use_cache: true,
    ...sizes,
  };
}

function transformer(sizes: JsonObject): JsonObject {
  return {
    _class_name: "Transformer2DModel",
    activation_fn: "gelu-approximate",
    attention_bias: true,
    in_channels: 4,
    out_channels: 8,
    norm_elementwise_affine: false,
    norm_eps: 1e-6,
    norm_num_groups: 32,
    norm_type: "ada_norm_single",
    num_embeds_ada_norm: 1000,
    patch_size: 2,
    sample_size: 128,
    upcast_attention: false,
    ...sizes,
  };
}

function vae(sizes: JsonObject): JsonObject {
  return {
    _class_name: "AutoencoderKL",
    act_fn: "silu",
    down_block_types: Array(4).fill("DownEncoderBlock2D"),
    up_block_types: Array(4).fill("UpDecoderBlock2D"),
    in_channels: 3,
    out_channels: 3,
    latent_channels: 4,
    layers_per_block: 2,
    scaling_factor: 0.18215,
    ...sizes,
  };
}

/** The sizes of PixArt-α/PixArt-XL-2-1024-MS, and of two checkpoints that are smaller in every respect. */
const SIZES = {
  "xl-1024": {
    textEncoder: textEncoder({
      d_ff: 10240,
      d_model: 4096,
      num_heads: 64,
      num_layers: 24,
      vocab_size: 32128,
    }),
    transformer: transformer({
      num_attention_heads: 16,
      attention_head_dim: 72,
      num_layers: 28,
      cross_attention_dim: 1152,
      caption_channels: 4096,
    }),
    vae: vae({ block_out_channels: [128, 256, 512, 512], norm_num_groups: 32, sample_size: 256 }),
    pieces: 32100,
    shardBytes: 10e9,
  },
  small: {
    textEncoder: textEncoder({ d_ff: 2048, d_model: 768, num_heads: 12, num_layers: 12, vocab_size: 8128 }),
    transformer: transformer({
      num_attention_heads: 6,
      attention_head_dim: 64,
      num_layers: 12,
      cross_attention_dim: 384,
      caption_channels: 768,
    }),
    vae: vae({ block_out_channels: [32, 64, 128, 128], norm_num_groups: 32, sample_size: 256 }),
    pieces: 8100,
    shardBytes: 2e8,
  },
  tiny: {
    textEncoder: textEncoder({ d_ff: 128, d_model: 64, num_heads: 1, num_layers: 3, vocab_size: 928 }),
    transformer: transformer({
      num_attention_heads: 2,
      attention_head_dim: 24,
      num_layers: 3,
      cross_attention_dim: 48,
      caption_channels: 64,
    }),
    vae: vae({ block_out_channels: [8, 16, 16, 16], norm_num_groups: 4, sample_size: 256 }),
    pieces: 900,
    shardBytes: 5e5,
  },
} as const satisfies Record<string, Sizes>;

/** Content of `model_index.json`. */
const MODEL_INDEX: JsonObject = {
  _class_name: "PixArtAlphaPipeline",
  _diffusers_version: "0.22.0.dev0",
  scheduler: ["diffusers", "DPMSolverMultistepScheduler"],
  text_encoder: ["transformers", "T5EncoderModel"],
  tokenizer: ["transformers", "T5Tokenizer"],
  transformer: ["diffusers", "Transformer2DModel"],
  vae: ["diffusers", "AutoencoderKL"],
};

/** Content of `scheduler/scheduler_config.json`. */
const SCHEDULER: JsonObject = {
  _class_name: "DPMSolverMultistepScheduler",
  algorithm_type: "dpmsolver++",
  beta_end: 0.02,
  beta_schedule: "linear",
  beta_start: 0.0001,
  dynamic_thresholding_ratio: 0.995,
  euler_at_final: false,
  lower_order_final: true,
  num_train_timesteps: 1000,
  prediction_type: "epsilon",
  sample_max_value: 1,
  solver_order: 2,
  solver_type: "midpoint",
  steps_offset: 0,
  thresholding: false,
  timestep_spacing: "linspace",
  trained_betas: null,
  use_karras_sigmas: false,
  use_lu_lambdas: false,
  variance_type: null,
};

/** Content of `tokenizer/tokenizer_config.json`. */
const TOKENIZER_CONFIG: JsonObject = {
  tokenizer_class: "T5Tokenizer",
  eos_token: "</s>",
  pad_token: "<pad>",
  unk_token: "<unk>",
  extra_ids: 100,
  model_max_length: 512,
};

/** Returns the weights of a PixArt transformer. */
export function transformerWeights(config: JsonObject): RequiredWeight[] {
  const parsed = PixArtTransformerConfig.parse(config);
  return requiredWeights((
    weights,
  ) => [pixartTextGraph(parsed, weights), pixartStepSegments(parsed, weights)]);
}

/**
 * Creates the preset of a synthetic checkpoint.
 *
 * @param sizes Its sizes.
 * @param dtype Element type of its weights.
 */
function preset(
  { textEncoder, transformer, vae, pieces, shardBytes }: Sizes,
  dtype: FloatDType,
): SyntheticPreset {
  return {
    index: MODEL_INDEX,
    pieces,
    files: {
      "scheduler/scheduler_config.json": SCHEDULER,
      "tokenizer/tokenizer_config.json": TOKENIZER_CONFIG,
      "text_encoder/config.json": { ...textEncoder, torch_dtype: dtype },
      "transformer/config.json": transformer,
      "vae/config.json": vae,
    },
    components: [
      { stem: "text_encoder/model", weights: t5Weights(textEncoder), shardBytes },
      { stem: "transformer/diffusion_pytorch_model", weights: transformerWeights(transformer) },
      { stem: "vae/diffusion_pytorch_model", weights: autoencoderWeights(vae) },
    ],
  };
}

/** PixArt's synthetic checkpoints by name; `xl-1024` has the sizes of PixArt-XL-2-1024-MS. */
export const PIXART_SYNTHETIC_PRESETS = {
  "xl-1024": (dtype) => preset(SIZES["xl-1024"], dtype),
  small: (dtype) => preset(SIZES.small, dtype),
  tiny: (dtype) => preset(SIZES.tiny, dtype),
} as const satisfies Readonly<Record<string, MakeSyntheticPreset>>;
