/**
 * A call of diffusers' PixArt pipelines as the Python side writes it, and its result.
 *
 * @module
 */

import { z } from "zod";

const packed = z.string().transform((base64) => new Float32Array(Uint8Array.fromBase64(base64).buffer));
const text = z.union([z.string(), z.array(z.string())]);

const callSchema = z.strictObject({
  prompt: z.array(z.string()),
  negative_prompt: text.optional(),
  num_inference_steps: z.number(),
  timesteps: z.array(z.number()).optional(),
  sigmas: z.array(z.number()).optional(),
  eta: z.number().optional(),
  guidance_scale: z.number(),
  num_images_per_prompt: z.number().optional(),
  height: z.number(),
  width: z.number(),
  use_resolution_binning: z.boolean(),
  clean_caption: z.boolean().optional(),
  max_sequence_length: z.number().optional(),
});

const resultSchema = z.object({
  promptEmbeds: z.array(packed),
  negativeEmbeds: z.array(packed).optional(),
  shape: z.array(z.number()),
  firstLatents: packed,
  finalLatents: packed,
  imageShape: z.array(z.number()),
  image: packed,
});

const subject = {
  checkpoint: z.string(),
  scheduler: z.string().optional(),
  options: z.record(z.string(), z.json()).optional(),
  call: callSchema,
  seed: z.string(),
};

/** Schema of {@linkcode PipelineCall} for one line of the Python side's output. */
export const pipelineCallSchema = z.looseObject(subject).transform((line, context) => {
  const { checkpoint, scheduler, options, call, seed, ...rest } = line;
  const result = z.union([z.object({ error: z.string() }), resultSchema]).safeParse(rest);
  if (result.success) return { checkpoint, scheduler, options, call, seed, result: result.data };
  context.addIssue({ code: "custom", message: result.error.message });
  return z.NEVER;
});

/** A call and its result. */
export type PipelineCall = z.output<typeof pipelineCallSchema>;

/** The results of a call in the reference: embeddings of real tokens, latents, and pictures from 0 to 1. */
export type PipelineResult = z.output<typeof resultSchema>;
