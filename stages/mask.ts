// This module is browser compatible.

import { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import { unpackLatents } from "../artifacts/latents.ts";
import { tensor } from "../artifacts/tensor.ts";
import { greysOf } from "../images/grey.ts";
import { artifactPixels, pictureSizes } from "../images/picture_artifact.ts";
import { resizeLanczos } from "../images/resize_lanczos.ts";
import { pictureEncoderOf } from "./encode_image.ts";
import { modelParameters } from "./model.ts";
import { defineStage, type Stage } from "./stage.ts";

/** Parameters of the mask stage. */
export const maskParameters = z.strictObject({
  ...modelParameters,
  /** Another autoencoder: the one that encoded the picture. */
  vae: z.string().min(1).optional(),
  /**
   * Whether grey areas are repainted in part. Otherwise values from 0.5 up become white, and all others
   * black.
   */
  soft: z.boolean().default(false),
});

/** Threshold of a hard mask. Values from here up are white. */
const MIDDLE = 0.5;

/**
 * The mask stage. Converts mask pictures, in which white is repainted and black is kept, to the size of a
 * picture's latents. Follows diffusers' `VaeImageProcessor` for masks and `prepare_mask_latents` of its
 * inpainting: resizes with a Lanczos filter to the picture's size, converts to grey, applies the threshold,
 * and takes the first pixel of each latent.
 */
export const maskStage: Stage = defineStage({
  name: "mask",
  version: "1",
  description: "Converts masks to the size of a picture's latents. White is repainted.",
  inputs: {
    image: { kind: "image", description: "Masks of any size. White is repainted, black is kept." },
    latents: { kind: "latents", description: "The picture's latents from encode-image." },
  },
  outputs: {
    mask: { kind: "mask", description: "Masks [masks, 1, height, width] at the size of the latents." },
  },
  parameters: maskParameters,
  async prepare({ parameters, inputs, models, signal }) {
    const { soft } = parameters;
    const { spatialFactor: factor } = await pictureEncoderOf(parameters, models, signal);
    const masks = inputs.image.shapes["image"] && pictureSizes(inputs.image).count;
    const [, , height, width] = inputs.latents.shapes["latents"] ?? [];
    const isKnown = masks !== undefined && height !== undefined && width !== undefined;
    return {
      identity: { soft, factor },
      outputs: {
        mask: { kind: "mask", shapes: isKnown ? { mask: [masks, 1, height, width] } : {}, metadata: {} },
      },
      run({ inputs }) {
        const [, , rows = 0, columns = 0] = unpackLatents(inputs.latents).shape;
        const pictures = artifactPixels(inputs.image);
        const data = new Float32Array(pictures.length * rows * columns);
        for (const [index, picture] of pictures.entries()) {
          const greys = greysOf(resizeLanczos(picture, rows * factor, columns * factor));
          for (let row = 0; row < rows; row++) {
            for (let column = 0; column < columns; column++) {
              const value = greys[(row * columns * factor + column) * factor]! / 255;
              data[(index * rows + row) * columns + column] = soft ? value : value >= MIDDLE ? 1 : 0;
            }
          }
        }
        const mask: Artifact = {
          kind: "mask",
          tensors: { mask: tensor("float32", [pictures.length, 1, rows, columns], data) },
          metadata: {},
        };
        return Promise.resolve({ mask });
      },
    };
  },
});
