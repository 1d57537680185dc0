/**
 * `POST /v1/images/generations` as the OpenAI API has it, with the extras that diffusion needs.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { denoiseParameters } from "../../stages/denoise/settings.ts";

const SIZE = /^(?:auto|[1-9]\d{0,4}x[1-9]\d{0,4})$/;

/** The schema of a request for pictures. Fields that it does not know are allowed, and listed in `warnings`. */
export const imageRequestSchema = z.looseObject({
  prompt: z.string().openapi({ description: "What the pictures show.", example: "cute cat" }),
  model: z.string().optional().openapi({ description: "A model of `GET /v1/models`; the first otherwise." }),
  n: z.int().min(1).nullish().openapi({ description: "How many pictures; 1 unless given." }),
  size: z.string().regex(SIZE, "A size is WIDTHxHEIGHT or auto").nullish().openapi({ example: "512x512" }),
  response_format: z.enum(["b64_json", "url"]).nullish(),
  output_format: z.enum(["png", "jpeg", "webp"]).nullish(),
  output_compression: z.int().min(0).max(100).nullish().openapi({ description: "Quality of JPEG and WebP." }),
  stream: z.boolean().nullish().openapi({ description: "Answer with server-sent events." }),
  partial_images: z.int().min(0).max(3).nullish().openapi({ description: "Previews in the stream." }),
  user: z.string().nullish().openapi({ description: "Who asks; users are served in turn." }),
  seed: denoiseParameters.shape.seeds.unwrap().element.nullish().openapi({
    description: "Seed of the first picture, the next whole numbers for the others; drawn unless given.",
  }),
  steps: denoiseParameters.shape.steps.nullish(),
  guidance_scale: denoiseParameters.shape.guidanceScale.nullish(),
  negative_prompt: z.string().nullish(),
  scheduler: denoiseParameters.shape.scheduler.nullish(),
}).openapi("ImageRequest");

/** A request for pictures. */
export type ImageRequest = z.infer<typeof imageRequestSchema>;

/** The schema of the answer. */
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

/** Parameters of the OpenAI API that say nothing to these models. */
const WITHOUT_EFFECT: ReadonlyMap<string, readonly unknown[]> = new Map([
  ["quality", ["auto", "standard"]],
  ["style", []],
  ["background", ["auto", "opaque"]],
  ["moderation", ["auto"]],
]);

/** What of a request is not honoured, a sentence each. */
export function imageWarnings(request: ImageRequest): string[] {
  const warnings: string[] = [];
  for (const [name, value] of Object.entries(request)) {
    if (Object.hasOwn(imageRequestSchema.shape, name) || value === null) continue;
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
