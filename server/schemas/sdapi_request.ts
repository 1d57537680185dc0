/**
 * Requests of AUTOMATIC1111's web UI: `POST /sdapi/v1/txt2img` and `/sdapi/v1/img2img`. Its clients send
 * every field with its default, some of them as null, numbers as text, and fields of extensions.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { denoiseParameters } from "../../stages/denoise/settings.ts";
import { promptSchema } from "../../text/prompt.ts";

const NUMBER = /^\s*-?\d{1,20}(?:\.\d{1,20})?\s*$/;

/** A number, or text that contains one. */
const number = z.union([z.number(), z.string().regex(NUMBER, "It must be a number").transform(Number)])
  .nullish();
/** A boolean, or a number that stands for one. */
const flag = z.union([z.boolean(), z.number()]).nullish();
const text = z.string().nullish();
const settings = z.record(z.string(), z.unknown()).nullish();

/** Fields that both requests share. */
const shared = {
  prompt: promptSchema.default("").openapi({
    description: "What the pictures show. `<lora:NAME:WEIGHT>` applies an adapter from `/sdapi/v1/loras`.",
    example: "cute cat",
  }),
  negative_prompt: promptSchema.nullish(),
  seed: denoiseParameters.shape.seeds.unwrap().element.nullish().openapi({
    description: "-1 draws a random seed.",
  }),
  steps: number.openapi({ description: "By default, the model's." }),
  cfg_scale: number.openapi({ description: "By default, the model's." }),
  width: number.openapi({ description: "In pixels (default: the model's default size)." }),
  height: number.openapi({ description: "In pixels (default: the model's default size)." }),
  batch_size: number,
  n_iter: number.openapi({ description: "Number of batches of `batch_size` pictures." }),
  sampler_name: text.openapi({
    description: "A sampler from `/sdapi/v1/samplers` (default: the model's).",
  }),
  sampler_index: text.openapi({ description: "Older alias of `sampler_name`." }),
  scheduler: text.openapi({ description: "A schedule from `/sdapi/v1/schedulers`." }),
  denoising_strength: number,
  send_images: flag,
  override_settings: settings.openapi({
    type: "object",
    description: "`sd_model_checkpoint` sets the model of this request.",
  }),
  alwayson_scripts: settings.openapi({ type: "object", description: "Must be empty." }),
  script_name: text,
  script_args: z.array(z.unknown()).nullish().openapi({ items: {} }),
  styles: z.array(z.string()).nullish(),
  restore_faces: flag,
  tiling: flag,
  subseed_strength: number,
  seed_resize_from_h: number,
  seed_resize_from_w: number,
  eta: number,
  s_churn: number,
  s_tmin: number,
  s_tmax: number,
  s_noise: number,
  s_min_uncond: number,
  refiner_checkpoint: text,
  disable_extra_networks: flag.openapi({ description: "Whether to ignore `<lora:…>` in the prompt." }),
};

/** Schema of a text-to-image request. */
export const textRequestSchema = z.looseObject({
  ...shared,
  enable_hr: flag,
}).openapi("SdTextToImageRequest");

/** Schema of an image-to-image request. */
export const pictureRequestSchema = z.looseObject({
  ...shared,
  init_images: z.array(z.string()).length(1, "It must contain exactly one picture").openapi({
    description: "The picture to start from, a file in base64.",
  }),
  mask: text.openapi({ description: "An opaque picture whose white area marks the part to repaint." }),
  mask_blur: number,
  inpainting_mask_invert: flag,
  inpainting_fill: number,
  inpaint_full_res: flag,
  resize_mode: number,
  initial_noise_multiplier: number,
  image_cfg_scale: number,
  latent_mask: text,
  include_init_images: flag,
}).openapi("SdImageToImageRequest");

/** A text-to-image request. */
export type TextRequest = z.infer<typeof textRequestSchema>;

/** An image-to-image request. */
export type PictureRequest = z.infer<typeof pictureRequestSchema>;

/** Schema of the answer to both. */
export const generationReplySchema = z.object({
  images: z.array(z.string()).openapi({
    description: "PNG files in base64 with their generation parameters.",
  }),
  parameters: z.record(z.string(), z.unknown()).openapi({
    type: "object",
    description: "The request with all defaults filled in.",
  }),
  info: z.string().openapi({
    description:
      "JSON with the seeds, sizes and `infotexts` of the pictures, and ignored parameters in `warnings`.",
  }),
}).openapi("SdImages");
