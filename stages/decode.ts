// This module is browser compatible.

import { z } from "zod";
import { imageLatents, latentsMetadataSchema, unpackLatents } from "../artifacts/latents.ts";
import { tensor } from "../artifacts/tensor.ts";
import { resizeAndCrop } from "../images/resize_and_crop.ts";
import { AutoencoderConfig } from "../models/autoencoder_config.ts";
import { TiledVaeDecoder } from "../models/vae_tiling/tiled_vae_decoder.ts";
import { stageResidency } from "../residency/stage_residency.ts";
import { loadReport } from "./load_report.ts";
import { modelParameters } from "./model_parameters.ts";
import { defineStage, type Stage } from "./stage.ts";

/** How pictures are cut while they are decoded. */
export const tilingParameters = {
  /** `none`, `seamless` (whole picture's statistics), `blended` (each tile for itself), or `auto`: by the size. */
  tiling: z.enum(["auto", "none", "seamless", "blended"]).default("auto"),
  /** Height and width of a blended tile, in pixels. */
  tileSize: z.int().min(64, "A tile must be 64 pixels at least").multipleOf(8).default(512),
  /** Pixels that blended tiles share. */
  tileOverlap: z.int().nonnegative().multipleOf(8).default(128),
};

/** Parameters of the decode stage. */
export const decodeParameters = z.strictObject({
  ...modelParameters,
  /** Whether the picture is resized and cropped to the size that was asked for, where the latents tell it. */
  resize: z.boolean().default(true),
  ...tilingParameters,
});

/** The decode stage: latents to pictures, one at a time, with the checkpoint's autoencoder. */
export const decodeStage: Stage = defineStage({
  name: "decode",
  version: "2",
  description: "Decodes latents to pictures with the checkpoint's autoencoder.",
  inputs: {
    latents: { kind: "latents", description: "Latents, before the division by the scaling factor." },
  },
  outputs: {
    image: { kind: "image", description: "Pictures [images, 3, height, width], float32, about -1 to 1." },
  },
  parameters: decodeParameters,
  modelParts: ({ model, variant }) => [{ model, variant, component: "vae" }],
  settle: ({ parameters: { model: _model, variant: _variant, ...rest } }) => Promise.resolve(rest),
  async check({ parameters, models }) {
    const vae = await models.component(parameters, "vae");
    AutoencoderConfig.parse(vae.config);
    await vae.weights();
  },
  async run({ parameters, inputs, models, runtime, signal, report }) {
    const vae = await models.component(parameters, "vae");
    const config = AutoencoderConfig.parse(vae.config);
    const latents = unpackLatents(inputs.latents, config.latent_channels);
    const { size } = latentsMetadataSchema.parse(inputs.latents.metadata);
    const weights = await vae.weights();
    const { tiling, tileSize, tileOverlap } = parameters;
    await using decoder = new TiledVaeDecoder(runtime, config, weights, {
      tiling,
      tileSize,
      tileOverlap,
      residency: stageResidency(runtime, "decode", weights),
      signal,
      onLoad: (progress) => report(loadReport("vae", progress)),
      onFallback: ({ message }) =>
        report({ type: "warning", message: `Decoding strip by strip, as memory ran out: ${message}` }),
    });
    const images = latents.shape[0]!;
    let shape: readonly number[] = [];
    let data = new Float32Array();
    for (let index = 0; index < images; index++) {
      signal.throwIfAborted();
      const scaled = imageLatents(latents, index);
      const decoded = await decoder.decode(
        tensor("float32", scaled.shape, unscale(scaled.data, config)),
        { signal },
      );
      const picture = size && parameters.resize ? resizeAndCrop(decoded, size.height, size.width) : decoded;
      if (index === 0) {
        shape = picture.shape;
        data = new Float32Array(images * picture.data.length);
      }
      data.set(picture.data, index * picture.data.length);
      report({ type: "step", step: index + 1, steps: images, image: index, images });
    }
    const image = tensor("float32", [images, ...shape.slice(1)], data);
    return { image: { kind: "image", tensors: { image }, metadata: inputs.latents.metadata } };
  },
});

/** Latents as the autoencoder takes them: `latents / scaling_factor`, in float32. */
function unscale(latents: Float32Array, config: AutoencoderConfig): Float32Array {
  const factor = Math.fround(config.scaling_factor);
  return latents.map((value) => value / factor);
}
