/**
 * Requests of `POST /v1/images/generations` and `/v1/images/edits`, with the fields of the OpenAI API and
 * further ones for diffusion.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { keepAliveSchema } from "../../runtime/duration.ts";
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
    "How long the processes that make the pictures stay afterwards, with the weights that they hold: `5m`, a number of " +
    "seconds, 0 or -1 for ever.",
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
  num_inference_steps: steps.openapi({ description: "Another name of `steps`." }),
  num_steps: steps.openapi({ description: "Another name of `steps`." }),
  cfg_scale: guidance_scale.openapi({ description: "Another name of `guidance_scale`." }),
  guidance: guidance_scale.openapi({ description: "Another name of `guidance_scale`." }),
  num_images: n.openapi({ description: "Another name of `n`." }),
  num_images_per_prompt: n.openapi({ description: "Another name of `n`." }),
  num_outputs: n.openapi({ description: "Another name of `n`." }),
};

/** Schema of a picture request. Unknown fields are allowed and reported in `warnings`. */
export const imageRequestSchema = z.looseObject({
  prompt: promptSchema.clone().openapi({ description: "What the pictures show.", example: "cute cat" }),
  model: z.string().nullish().openapi({ description: "A model of `GET /v1/models`; the first otherwise." }),
  n: n.openapi({ description: "How many pictures; 1 unless given." }),
  size: z.string().regex(SIZE, "A size is WIDTHxHEIGHT or auto").nullish().openapi({ example: "512x512" }),
  response_format: z.enum(["b64_json", "url"]).nullish().openapi({
    description:
      "How pictures are answered; `url` where the model's name begins with `dall-e`, else `b64_json`, as in the OpenAI " +
      "API. A link is good for an hour where the server has an API key.",
  }),
  output_format: z.enum(["png", "jpeg", "webp"]).nullish(),
  output_compression: z.int().min(0).max(100).nullish().openapi({ description: "Quality of JPEG and WebP." }),
  stream: z.boolean().nullish().openapi({ description: "Answer with server-sent events." }),
  partial_images: z.int().min(0).max(3).nullish().openapi({ description: "Previews in the stream." }),
  user: z.string().nullish().openapi({ description: "Who asks; users are served in turn." }),
  seed: denoiseParameters.shape.seeds.unwrap().element.nullish().openapi({
    description:
      "Seed of the first picture, the next whole numbers for the others; drawn where it is not given or -1.",
  }),
  steps,
  guidance_scale,
  guidance_interval: guidance_interval.openapi({
    description: "The part of the steps that are guided, from 0 to 1; the others take half the time.",
    example: [0, 0.5],
  }),
  step_cache: step_cache.openapi({
    description: "Runs the first block alone where what it adds has changed by less than this share.",
    example: 0.1,
  }),
  pag_scale: denoiseParameters.shape.pagScale.nullish().openapi({
    description: "How far perturbed attention guidance pushes; off at 0.",
  }),
  pag_layers: denoiseParameters.shape.pagLayers.nullish().openapi({
    description: "Regular expressions that find the self-attentions to perturb.",
    example: ["blocks.14"],
  }),
  pag_adaptive_scale: denoiseParameters.shape.pagAdaptiveScale.nullish().openapi({
    description: "By how much pag_scale falls with each timestep from 1000 down.",
  }),
  wildcards: z.boolean().nullish().openapi({
    description: "Whether `{red|blue}` in the prompt stands for one of them, drawn by each picture's seed.",
  }),
  loras: denoiseParameters.shape.loras.nullish().openapi({
    description: "LoRA adapters of `GET /v1/loras`, each with its weight; their effects add up.",
    example: [{ name: "pixstage-emoji/chalk", weight: 0.8 }],
  }),
  controlnet: denoiseParameters.shape.controlnet.nullish().openapi({
    description: "A ControlNet of `controlnets` in `GET /v1/capabilities`, which the pictures follow.",
  }),
  control_image: sha256Schema.nullish().openapi({
    description: "The id of the picture that `controlnet` follows, as `POST /v1/pictures` gives it.",
  }),
  controlnet_scale: denoiseParameters.shape.controlnetScale.nullish().openapi({
    description: "How closely it is followed; 1 unless given.",
  }),
  controlnet_interval: denoiseParameters.shape.controlnetInterval.nullish().openapi({
    description: "The part of the steps that follow it, from 0 to 1.",
    example: [0, 0.5],
  }),
  negative_prompt: promptSchema.nullish(),
  scheduler: denoiseParameters.shape.scheduler.nullish(),
  keep_alive: keepAliveField.nullish(),
  ...OTHER_FIELDS,
  width: z.int().positive().nullish().openapi({
    description: "The width in pixels, in the place of `size`.",
  }),
  height: z.int().positive().nullish().openapi({
    description: "The height in pixels, in the place of `size`.",
  }),
}).openapi("ImageRequest");

/** Schema of the fields of an edit request, without its files. */
export const editRequestSchema = imageRequestSchema.extend({
  strength: denoiseParameters.shape.strength.nullish().openapi({
    description:
      "How far the picture is changed: the share of the steps that is taken; 0.8 unless given, with a mask 1.",
  }),
  soft_mask: z.boolean().nullish().openapi({
    description: "Whether greys of the mask repaint in part; else they count as white or black.",
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
        description: "What to send as `seed` to get this picture again.",
      }),
    }),
  ),
  output_format: z.enum(["png", "jpeg", "webp"]),
  size: z.string(),
  warnings: z.array(z.string()).openapi({ description: "Parameters that were not honoured, and why." }),
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
    const reason = harmless ? "has no effect on these models" : "is not known";
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
