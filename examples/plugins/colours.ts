/**
 * A stage that replaces the decoder: it paints the colours that latents represent, without an autoencoder.
 *
 * @module
 */

import { z } from "zod";
import { defineStage, fromPixels, latentsToRgb, type Tensor } from "../../mod.ts";

export default defineStage({
  name: "colours",
  version: "1",
  description: "Paints the colours of latents, eight pixels for each: fast, and without an autoencoder.",
  inputs: {
    latents: { kind: "latents", description: "Latents, not yet divided by the scaling factor." },
  },
  outputs: { image: { kind: "image", description: "Pictures [n, 3, height, width], -1 to 1." } },
  parameters: z.strictObject({
    /** The family of the latents: Stable Diffusion (PixArt-α) or Stable Diffusion XL (PixArt-Σ). */
    family: z.enum(["sd", "sdxl"]).default("sd"),
  }),
  run({ parameters: { family }, inputs }) {
    const latents = inputs.latents.tensors["latents"] as Tensor<"float32">;
    const image = fromPixels(latentsToRgb(latents, family, { scale: 8 }));
    return Promise.resolve({
      image: { kind: "image", tensors: { image }, metadata: inputs.latents.metadata },
    });
  },
});
