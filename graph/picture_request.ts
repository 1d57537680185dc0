// This module is browser compatible.

/**
 * A request for pictures: the one schema that the command line and the server share. Its fields are the
 * parameters of all stages, in one object.
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
  /** Whether to clean captions in the same way as the training captions: twice, as diffusers does. */
  cleanCaption: encodeParameters.shape.cleanCaption,
  /** Number of tokens to pad embeddings to. Longer prompts are truncated. The default is the model's own. */
  maxSequenceLength: encodeParameters.shape.maxSequenceLength,
  /** The prompts. They can be left out if embeddings or latents are given. */
  prompts: z.array(promptSchema).default([]),
  /**
   * Whether `{red|blue}` in a prompt stands for one of several texts, drawn for each picture with its seed.
   */
  wildcards: z.boolean().optional(),
  /**
   * What the pictures should not show, one text for all prompts or one for each. The default is the
   * checkpoint's own negative prompt, or the empty text.
   */
  negativePrompt: z.union([promptSchema, z.array(promptSchema).min(1)]).optional(),
  /** Whether grey areas of the mask are repainted in part. Otherwise each is rounded to white or black. */
  softMask: maskParameters.shape.soft.optional(),
  /** A second transformer, for the steps from `secondTransformerFrom` on. */
  secondTransformer: z.string().min(1).optional(),
  /**
   * Share of the noise schedule after which the second transformer takes over: diffusers' `denoising_end`.
   */
  secondTransformerFrom: z.number().gt(0).lt(1).optional(),
  /**
   * Another autoencoder: the folder or name of a checkpoint, or a folder that contains only an autoencoder.
   */
  vae: z.string().min(1).optional(),
  /**
   * Precision of the matrices for each stage; `*` stands for all of them. `decode` supports float32 and
   * float16.
   */
  precision: z.partialRecord(z.enum(["encode", "denoise", "decode", "*"]), precisionSchema).optional(),
  tiling: tilingParameters.tiling.optional(),
  tileSize: tilingParameters.tileSize.optional(),
  tileOverlap: tilingParameters.tileOverlap.optional(),
});

/** A request for pictures, parsed. */
export type PictureRequest = z.infer<typeof pictureRequestSchema>;

/** A request for pictures as users may write it, with defaults left out. */
export type PictureRequestInput = z.input<typeof pictureRequestSchema>;
