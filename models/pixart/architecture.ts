// This module is browser compatible.

import type { Architecture } from "../architecture.ts";
import { autoencoderDecoder } from "../vae/decoder.ts";
import { autoencoderEncoder } from "../vae/encoder.ts";
import { pixartDenoiser } from "./denoiser.ts";
import { buildPixartGraphs } from "./graphs.ts";
import { PIXART_SYNTHETIC_PRESETS } from "./synthetic.ts";
import { pixartTextEncoder } from "./text_encoder.ts";

/**
 * Matches the matrices of T5's layers and of the transformer's blocks: the large matrices that multiply many
 * activations. The caption projection is left out: it runs once per prompt over few tokens, and its rounding
 * error reaches every block of every step.
 */
const MATRIX =
  /^(encoder\.block\.\d+\.layer\.\d+\.(SelfAttention\.[qkvo]|DenseReluDense\.w[io](_[01])?)|transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2)))\.weight$/;

/**
 * PixArt-α (https://arxiv.org/abs/2310.00426) and PixArt-Σ (https://arxiv.org/abs/2403.04692), with their
 * few-step students. The defaults are those of `PixArtAlphaPipeline.__call__` in diffusers.
 */
export const pixartArchitecture: Architecture = {
  name: "pixart",
  pipelines: { PixArtAlphaPipeline: "alpha", PixArtSigmaPipeline: "sigma" },
  classes: {
    // Published α checkpoints use the older class, from before diffusers had a separate class for PixArt.
    transformer: ["PixArtTransformer2DModel", "Transformer2DModel"],
    text_encoder: ["T5EncoderModel"],
    vae: ["AutoencoderKL", "AutoencoderTiny"],
    controlnet: ["PixArtControlNetAdapterModel"],
  },
  defaults: { steps: 20, guidanceScale: 4.5 },
  buildGraphs: buildPixartGraphs,
  syntheticPresets: PIXART_SYNTHETIC_PRESETS,
  isQuantizable: (name) => MATRIX.test(name),
  textEncoder: pixartTextEncoder,
  denoiser: pixartDenoiser,
  decoder: autoencoderDecoder,
  pictureEncoder: autoencoderEncoder,
};
