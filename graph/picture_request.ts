// This module is browser compatible.

/**
 * A request for pictures: the one schema that the command line and the server share. Its fields are the parameters of
 * the stages, put side by side.
 *
 * @module
 */

import { z } from "zod";
import { precisionSchema } from "../models/precision.ts";
import { tilingParameters } from "../stages/decode.ts";
import { denoiseParameters } from "../stages/denoise/settings.ts";
import { encodeParameters } from "../stages/encode.ts";
import { maskParameters } from "../stages/mask.ts";
import { promptSchema } from "../text/prompt.ts";

/** The schema of {@linkcode PictureRequest}. */
export const pictureRequestSchema = z.strictObject({
  ...denoiseParameters.shape,
  cleanCaption: encodeParameters.shape.cleanCaption,
  maxSequenceLength: encodeParameters.shape.maxSequenceLength,
  /** The prompts; may be left out where embeddings or latents are given. */
  prompts: z.array(promptSchema).default([]),
  /** Whether `{red|blue}` in a prompt stands for one of several texts, drawn anew for each picture by its seed. */
  wildcards: z.boolean().optional(),
  /** What the pictures should not show, for all prompts or for each; the checkpoint's own, else empty. */
  negativePrompt: z.union([promptSchema, z.array(promptSchema).min(1)]).optional(),
  /** Whether greys of the mask repaint in part; else they are made white or black. */
  softMask: maskParameters.shape.soft.optional(),
  /** A second transformer, for the steps from `secondTransformerFrom` on. */
  secondTransformer: z.string().min(1).optional(),
  /** The share of the noise schedule after which the second transformer goes on: diffusers' `denoising_end`. */
  secondTransformerFrom: z.number().gt(0).lt(1).optional(),
  /** Another autoencoder: the folder or name of a checkpoint, or a folder that holds an autoencoder alone. */
  vae: z.string().min(1).optional(),
  /** Precision of matrices, by the stage or of all: `*`. Decoding has float32 and float16. */
  precision: z.partialRecord(z.enum(["encode", "denoise", "decode", "*"]), precisionSchema).optional(),
  tiling: tilingParameters.tiling.optional(),
  tileSize: tilingParameters.tileSize.optional(),
  tileOverlap: tilingParameters.tileOverlap.optional(),
});

/** A request for pictures, parsed. */
export type PictureRequest = z.infer<typeof pictureRequestSchema>;

/** A request for pictures as it may be written. */
export type PictureRequestInput = z.input<typeof pictureRequestSchema>;
