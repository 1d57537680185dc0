// This module is browser compatible.

/**
 * PixArt's denoiser: sizes, latents, and the layout of its transformer's prediction.
 *
 * Reference: `__call__` of diffusers' pipeline_pixart_alpha.py and pipeline_pixart_sigma.py.
 *
 * @module
 */

import { parseConfig } from "../checkpoint/parse_config.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import { ArtifactError } from "../../artifacts/artifact.ts";
import { LATENT_COLOURS } from "../../images/latent_preview.ts";
import type { DenoiserModel, PictureSize } from "../architecture.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import type { Component } from "../checkpoint/component.ts";
import { AutoencoderConfig, spatialFactor } from "../vae/autoencoder_config.ts";
import { checkControlNet, controlNetBlocks } from "./control_net.ts";
import { withControlNet } from "./control_net_memory.ts";
import { branchesAtOnce, transformerFacts, transformerMemoryChoices } from "./memory.ts";
import { classifyResolution } from "./resolution_bins.ts";
import { selfAttentionName } from "./transformer_options.ts";
import { PixArtTransformerConfig } from "./transformer_config.ts";
import { PixArtTransformer } from "./transformer_runner.ts";

/** Default number of pixels along each side of one latent, used if the checkpoint has no autoencoder. */
const SPATIAL_FACTOR = 8;

/** Reads the configuration of a PixArt denoiser. */
export async function pixartDenoiser(checkpoint: Checkpoint, component: Component): Promise<DenoiserModel> {
  const config = parseConfig(PixArtTransformerConfig, component);
  const { family, defaults } = checkpoint;
  const { patch_size, sample_size, in_channels, text_channels } = config;
  const factor = await pixelsPerLatent(checkpoint);
  const native = sample_size * factor;
  const multiple = factor * patch_size;
  const tokens = ({ height, width }: PictureSize): number =>
    Math.ceil(height / multiple) * Math.ceil(width / multiple);
  return {
    component,
    spatialFactor: factor,
    identity: { family },
    cachesSteps: true,
    selfAttentions: Array.from({ length: config.num_layers }, (_, block) => selfAttentionName(block)),
    latentColours: in_channels === 4
      ? defaults.latentColours ?? LATENT_COLOURS[family === "sigma" ? "sdxl" : "sd"]
      : undefined,
    resolveSize({ height = native, width = native }, binning) {
      const size = { height, width };
      const renderSize = binning ? classifyResolution(height, width, sample_size) : size;
      if (renderSize.height % multiple !== 0 || renderSize.width % multiple !== 0) {
        throw new InputError(
          "out_of_range",
          `Height and width must be multiples of ${multiple}, but are ${height} and ${width}`,
          { details: { field: renderSize.height % multiple === 0 ? "width" : "height" } },
        );
      }
      return { size, renderSize };
    },
    latentShape: ({ height, width }) => [1, in_channels, height / factor, width / factor],
    checkEmbeddings(channels) {
      if (channels === text_channels) return;
      throw new ArtifactError(
        `Cannot use embeddings with ${channels} channels: this transformer expects ${text_channels}. ` +
          "Encode with the checkpoint that denoises",
      );
    },
    // The α pipeline does this for DMD students.
    returnsDenoised: (calls) => family === "alpha" && calls === 1,
    // The remaining channels are the variance, which no scheduler here uses.
    readPrediction: (output, length) => output.subarray(0, length),
    memory: (
      weights,
      { renderSize, guided, bothBranches, cachesSteps, promptTokens, negativeTokens },
      request,
    ) =>
      transformerMemoryChoices(
        transformerFacts(config, weights),
        {
          picture: tokens(renderSize),
          text: promptTokens + (guided ? negativeTokens : 0),
          cachedBranches: cachesSteps ? guided ? 2 : 1 : 0,
        },
        bothBranches,
        request,
      ),
    controlNet(component, weights) {
      const control = { blocks: controlNetBlocks(component, config), weights };
      checkControlNet(config, control);
      return {
        memory: (choices, { renderSize, guided, promptTokens, negativeTokens }) =>
          withControlNet(choices, control, {
            picture: tokens(renderSize),
            text: promptTokens + (guided ? negativeTokens : 0),
          }, config.num_attention_heads * config.attention_head_dim),
      };
    },
    open: (runtime, weights, { precision, bothBranches, renderSize, controlNet, ...options }) =>
      PixArtTransformer.open(runtime, config, weights, {
        ...options,
        control: controlNet && {
          blocks: controlNetBlocks(controlNet.component, config),
          weights: controlNet.weights,
        },
        weightType: precision === "float16" ? "float16" : "float32",
        guidanceBranches: branchesAtOnce(runtime.traits, bothBranches, tokens(renderSize)),
      }),
  };
}

/** Reads the number of pixels along each side of one latent from the checkpoint's own autoencoder. */
async function pixelsPerLatent(checkpoint: Checkpoint): Promise<number> {
  if (!checkpoint.components.includes("vae")) return SPATIAL_FACTOR;
  return spatialFactor(parseConfig(AutoencoderConfig, await checkpoint.component("vae")));
}
