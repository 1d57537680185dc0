/**
 * Requests of `POST /v1/images/generations` and `/v1/images/edits`, with the fields of the OpenAI API and
 * further ones for diffusion.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { precisionSchema } from "../../models/precision.ts";
import { keepAliveSchema } from "../../pixstage/duration.ts";
import { denoiseParameters } from "../../stages/denoise/settings.ts";
import { promptSchema } from "../../text/prompt.ts";

const SIZE = /^(?:auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/;

const n = z.int().min(1).nullish();
const steps = denoiseParameters.shape.steps.nullish();
const guidance_interval = denoiseParameters.shape.guidanceInterval.nullish();
const step_cache = denoiseParameters.shape.stepCache.nullish();
const guidance_scale = denoiseParameters.shape.guidanceScale.nullish();

/** The request field that sets how long a model stays loaded. */
export const keepAliveField = keepAliveSchema.clone().openapi({
  description:
    "How long the processes and their weights stay in memory after the request: `5m`, a number of " +
    "seconds, 0, or -1 for no limit.",
  example: "5m",
});

/** Field names of diffusers, AUTOMATIC1111's web UI and hosted services, with this server's names. */
const OTHER_NAMES = {
  num_inference_steps: "steps",
  num_steps: "steps",
  cfg_scale: "guidance_scale",
  guidance: "guidance_scale",
  num_images: "n",
  num_images_per_prompt: "n",
  num_outputs: "n",
} as const;

const OTHER_FIELDS = {
  num_inference_steps: steps.openapi({ description: "Alias of `steps`." }),
  num_steps: steps.openapi({ description: "Alias of `steps`." }),
  cfg_scale: guidance_scale.openapi({ description: "Alias of `guidance_scale`." }),
  guidance: guidance_scale.openapi({ description: "Alias of `guidance_scale`." }),
  num_images: n.openapi({ description: "Alias of `n`." }),
  num_images_per_prompt: n.openapi({ description: "Alias of `n`." }),
  num_outputs: n.openapi({ description: "Alias of `n`." }),
};

/** Schema of a picture request. Unknown fields are allowed and reported in `warnings`. */
export const imageRequestSchema = z.looseObject({
  prompt: promptSchema.clone().openapi({ description: "What the pictures show.", example: "cute cat" }),
  model: z.string().nullish().openapi({ description: "A model from `GET /v1/models` (default: the first)." }),
  n: n.openapi({ description: "Number of pictures (default: 1)." }),
  size: z.string().regex(SIZE, "A size must be WIDTHxHEIGHT or auto").nullish().openapi({
    example: "512x512",
  }),
  response_format: z.enum(["b64_json", "url"]).nullish().openapi({
    description:
      "How pictures are returned (default: `b64_json`, or `url` if the model's name starts with `dall-e`, as in the OpenAI " +
      "API). If the server has an API key, links expire after an hour by default.",
  }),
  output_format: z.enum(["png", "jpeg", "webp"]).nullish(),
  output_compression: z.int().min(0).max(100).nullish().openapi({ description: "Quality of JPEG and WebP." }),
  stream: z.boolean().nullish().openapi({ description: "Whether to respond with server-sent events." }),
  partial_images: z.int().min(0).max(3).nullish().openapi({
    description: "Number of previews in the stream.",
  }),
  user: z.string().nullish().openapi({ description: "The end user. The server takes turns between users." }),
  seed: denoiseParameters.shape.seeds.unwrap().element.nullish().openapi({
    description:
      "Seed of the first picture; the others use the next whole numbers (default, and for -1: a random seed).",
  }),
  steps,
  guidance_scale,
  guidance_interval: guidance_interval.openapi({
    description:
      "The range of the steps with guidance, as fractions from 0 to 1; steps without it take half the time.",
    example: [0, 0.5],
  }),
  step_cache: step_cache.openapi({
    description:
      "Runs only the first block of a step if its residual has changed by less than this fraction.",
    example: 0.1,
  }),
  precision: precisionSchema.nullish().openapi({
    description:
      "Precision of the matrices of all stages (default: the server's). `float16` needs a GPU; the text encoder stays in float32.",
  }),
  pag_scale: denoiseParameters.shape.pagScale.nullish().openapi({
    description: "Scale of perturbed attention guidance; 0 turns it off.",
  }),
  pag_layers: denoiseParameters.shape.pagLayers.nullish().openapi({
    description: "Regular expressions for the names of the self-attentions to perturb.",
    example: ["blocks.14"],
  }),
  pag_adaptive_scale: denoiseParameters.shape.pagAdaptiveScale.nullish().openapi({
    description: "How much pag_scale decreases with each timestep, counted down from 1000.",
  }),
  wildcards: z.boolean().nullish().openapi({
    description:
      "Whether to replace `{red|blue}` in the prompt by one of the choices, drawn with each picture's seed.",
  }),
  loras: denoiseParameters.shape.loras.nullish().openapi({
    description: "LoRA adapters from `GET /v1/loras` with their weights. Their effects add up.",
    example: [{ name: "pixstage-emoji/chalk", weight: 0.8 }],
  }),
  controlnet: denoiseParameters.shape.controlnet.nullish().openapi({
    description: "A ControlNet from `controlnets` in `GET /v1/capabilities`.",
  }),
  control_image: sha256Schema.nullish().openapi({
    description: "The id of the control picture, from `POST /v1/pictures`.",
  }),
  controlnet_scale: denoiseParameters.shape.controlnetScale.nullish().openapi({
    description: "How closely the pictures follow the control picture (default: 1).",
  }),
  controlnet_interval: denoiseParameters.shape.controlnetInterval.nullish().openapi({
    description: "The range of the steps that follow the control picture, as fractions from 0 to 1.",
    example: [0, 0.5],
  }),
  negative_prompt: promptSchema.nullish(),
  scheduler: denoiseParameters.shape.scheduler.nullish(),
  keep_alive: keepAliveField.nullish(),
  ...OTHER_FIELDS,
  width: z.int().positive().nullish().openapi({
    description: "The width in pixels, instead of `size`.",
  }),
  height: z.int().positive().nullish().openapi({
    description: "The height in pixels, instead of `size`.",
  }),
}).openapi("ImageRequest");

/** Schema of the fields of an edit request, without its files. */
export const editRequestSchema = imageRequestSchema.extend({
  strength: denoiseParameters.shape.strength.nullish().openapi({
    description:
      "How much to change the picture: the fraction of the steps that are taken (default: 0.8; 1 with a mask).",
  }),
  soft_mask: z.boolean().nullish().openapi({
    description:
      "Whether grey areas of the mask are repainted in part. Otherwise they count as white or black.",
  }),
});

/** A picture request. */
export type ImageRequest = z.infer<typeof imageRequestSchema>;

/** A picture request or an edit request. */
export type AnyImageRequest = z.infer<typeof editRequestSchema>;

/** Schema of the answer. */
export const imagesResponseSchema = z.object({
  created: z.int(),
  data: z.array(
    z.object({
      b64_json: z.string().optional(),
      url: z.string().optional(),
      seed: z.string().optional().openapi({
        description: "The `seed` that makes this picture again.",
      }),
    }),
  ),
  output_format: z.enum(["png", "jpeg", "webp"]),
  size: z.string(),
  warnings: z.array(z.string()).openapi({ description: "The parameters that were ignored, and why." }),
}).openapi("ImagesResponse");

/** Parameters of the OpenAI API that have no effect on these models, with the values that need no warning. */
const WITHOUT_EFFECT: ReadonlyMap<string, readonly unknown[]> = new Map([
  ["quality", ["auto", "standard"]],
  ["style", []],
  ["background", ["auto", "opaque"]],
  ["moderation", ["auto"]],
  ["input_fidelity", ["low"]],
]);

/** A picture request, with its fields under the names that this server documents. */
export interface SettledImageRequest {
  /** The request. */
  readonly request: AnyImageRequest;
  /** A warning for each part of the request that is not honoured. */
  readonly warnings: readonly string[];
  /** The name that the request uses for a field, if it differs. */
  readonly called: ReadonlyMap<string, string>;
}

/** Replaces alternative field names, and finds the parts of the request that are not honoured. */
export function settleImageRequest(
  given: ImageRequest | AnyImageRequest,
  schema: typeof imageRequestSchema | typeof editRequestSchema = imageRequestSchema,
): SettledImageRequest {
  const warnings = imageWarnings(given, schema.shape);
  const called = new Map<string, string>();
  const request: Record<string, unknown> = { ...given };
  const sizeGiven = typeof given.size === "string" && given.size !== "auto";
  for (const side of ["width", "height"] as const) {
    const value = given[side];
    if (value === undefined || value === null) continue;
    called.set(side, side);
    if (!sizeGiven) continue;
    delete request[side];
    if (!`x${given.size}x`.includes(`x${value}x`)) {
      warnings.push(`Parameter ${side} differs from size and was ignored`);
    }
  }
  for (const [other, name] of Object.entries(OTHER_NAMES)) {
    const value = request[other];
    delete request[other];
    if (value === undefined || value === null) continue;
    if (request[name] === undefined || request[name] === null) {
      request[name] = value;
      called.set(name, other);
    } else if (request[name] !== value) {
      warnings.push(`Parameter ${other} differs from ${called.get(name) ?? name} and was ignored`);
    }
  }
  return { request: schema.parse(request), warnings, called };
}

/**
 * Returns the format in which pictures are sent. OpenAI's DALL·E models send links, its later models send
 * files.
 */
export function responseFormat({ response_format, model }: ImageRequest): "b64_json" | "url" {
  return response_format ?? (model?.startsWith("dall-e") ? "url" : "b64_json");
}

/** Returns a warning for each part of a request that is not honoured. */
function imageWarnings(request: ImageRequest, known: object): string[] {
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(request)) {
    if (Object.hasOwn(known, name) || value === null) continue;
    const harmless = WITHOUT_EFFECT.get(name);
    if (harmless?.includes(value)) continue;
    const reason = harmless ? "has no effect on these models" : "is unknown";
    warnings.push(`Parameter ${name.slice(0, 60)} ${reason} and was ignored`);
  }
  if (request.partial_images && !request.stream) {
    warnings.push("Parameter partial_images has no effect without stream and was ignored");
  }
  if (typeof request.output_compression === "number" && (request.output_format ?? "png") === "png") {
    warnings.push("Parameter output_compression has no effect on png and was ignored");
  }
  return warnings;
}
