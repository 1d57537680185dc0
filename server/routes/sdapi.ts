/**
 * `/sdapi/v1`: picture generation for clients of AUTOMATIC1111's web UI.
 *
 * @module
 */

import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import { parseValue } from "../../errors/parse_value.ts";
import { ApiError } from "../api_error.ts";
import { queueClient } from "../client_name.ts";
import type { ServerContext, ServerEnv } from "../context.ts";
import type { RequestPictures } from "../job_graphs.ts";
import { submitPictures } from "../order_pictures.ts";
import { readUpload } from "../pictures/read_upload.ts";
import { requireEnded } from "../jobs/require_ended.ts";
import { router } from "../router.ts";
import { editRequestSchema, type SettledImageRequest } from "../schemas/image_request.ts";
import {
  generationReplySchema,
  type PictureRequest,
  pictureRequestSchema,
  type TextRequest,
  textRequestSchema,
} from "../schemas/sdapi_request.ts";
import type { CurrentModel } from "../sdapi/current_model.ts";
import { generationReply } from "../sdapi/generation_reply.ts";
import type { Generations } from "../sdapi/generations.ts";
import { refuseUnsupported } from "../sdapi/unsupported_fields.ts";
import { readLoraTags } from "../sdapi/lora_tags.ts";
import { pictureBytes } from "../sdapi/picture_data.ts";
import { findSampler, warnOfLoneSchedule } from "../sdapi/samplers.ts";
import { faults, json } from "./responses.ts";

const tags = ["AUTOMATIC1111"];

/** The path of the route that edits a picture. */
export const IMG2IMG_PATH = "/sdapi/v1/img2img";

/** Default strength of a picture edit, the same as the web UI's. */
const DEFAULT_STRENGTH = 0.75;

/** Names of the request's fields, by the name in this server's own requests. */
const CALLED: ReadonlyMap<string, string> = new Map([
  ["n", "batch_size"],
  ["guidance_scale", "cfg_scale"],
  ["scheduler", "sampler_name"],
  ["strength", "denoising_strength"],
  ["width", "width"],
  ["height", "height"],
  ["loras", "prompt"],
  ["image", "init_images"],
]);

const textRoute = createRoute({
  method: "post",
  path: "/sdapi/v1/txt2img",
  operationId: "sdTextToImage",
  tags,
  summary: "Generates pictures from text",
  request: { body: { required: true, content: { "application/json": { schema: textRequestSchema } } } },
  responses: { 200: json(generationReplySchema, "The pictures."), 409: faults[400], ...faults },
});

const pictureRoute = createRoute({
  method: "post",
  path: IMG2IMG_PATH,
  operationId: "sdImageToImage",
  tags,
  summary: "Generates pictures from a picture",
  request: { body: { required: true, content: { "application/json": { schema: pictureRequestSchema } } } },
  responses: { 200: json(generationReplySchema, "The pictures."), 409: faults[400], ...faults },
});

/** Creates the routes that make pictures. */
export function sdapiRoutes(server: ServerContext, current: CurrentModel, generations: Generations) {
  return router()
    .openapi(textRoute, async (context) => {
      const request = context.req.valid("json");
      const warnings = refuseUnsupported(request, textRequestSchema.shape);
      return context.json(await generate(request, context, { warnings }), 200);
    })
    .openapi(pictureRoute, async (context) => {
      const request = context.req.valid("json");
      const warnings = refuseUnsupported(request, pictureRequestSchema.shape);
      const from = await readPictures(request, server);
      const strength = Number(request.denoising_strength ?? DEFAULT_STRENGTH);
      return context.json(await generate(request, context, { warnings, from, strength }), 200);
    });

  async function generate(
    request: TextRequest | PictureRequest,
    context: Context<ServerEnv>,
    { warnings, from, strength }: {
      readonly warnings: readonly string[];
      readonly from?: RequestPictures;
      readonly strength?: number;
    },
  ) {
    const model = modelOf(request, current);
    const sampler = samplerOf(request);
    const lone = sampler ? [] : warnOfLoneSchedule(request.scheduler ?? "");
    const scheduler = sampler?.scheduler;
    const settled = settle(request, { model, warnings: [...warnings, ...lone], strength, scheduler }, server);
    const job = await submitPictures(settled, queueClient(context), server, { from, previews: true });
    await generations.ended(job.id, context.req.raw.signal);
    const over = requireEnded(server.jobs, job.id);
    return await generationReply(over, { request, model, sampler: sampler?.name, strength }, server);
  }
}

/** Translates the request into the form of the server's own routes. */
function settle(
  request: TextRequest | PictureRequest,
  { model, warnings, strength, scheduler }: {
    readonly model: string;
    readonly warnings: readonly string[];
    readonly strength: number | undefined;
    readonly scheduler: string | undefined;
  },
  { loras: served }: Pick<ServerContext, "loras">,
): SettledImageRequest {
  const { prompt, loras } = readLoraTags(request.prompt, served.map(({ name }) => name));
  const batch = Number(request.batch_size ?? 1) * Number(request.n_iter ?? 1);
  const own = {
    prompt,
    model,
    negative_prompt: request.negative_prompt,
    n: batch,
    seed: request.seed,
    steps: request.steps,
    guidance_scale: request.cfg_scale,
    width: request.width,
    height: request.height,
    scheduler,
    strength,
    loras: request.disable_extra_networks || loras.length === 0 ? undefined : loras,
  };
  const refuse = ({ path: [name = "", ...rest], problem }: {
    readonly path: readonly (string | number)[];
    readonly problem: string;
  }): ApiError => {
    const param = [CALLED.get(String(name)) ?? name, ...rest].join(".");
    return new ApiError("invalid_value", `${param} ${problem}`, { param });
  };
  return { request: parseValue(editRequestSchema, own, refuse), warnings, called: CALLED };
}

/** Returns the model that a request names, or the current model that all clients share. */
function modelOf({ override_settings }: TextRequest | PictureRequest, current: CurrentModel): string {
  const named = override_settings?.["sd_model_checkpoint"];
  if (typeof named === "string" && named !== "") {
    return current.find(named, "override_settings.sd_model_checkpoint");
  }
  if (current.name !== undefined) return current.name;
  throw new ApiError("model_not_found", "This server has no models", {
    param: "override_settings.sd_model_checkpoint",
  });
}

function samplerOf({ sampler_name, sampler_index, scheduler }: TextRequest | PictureRequest) {
  const [name, param] = sampler_name ? [sampler_name, "sampler_name"] : [sampler_index, "sampler_index"];
  return name ? findSampler(name, scheduler ?? undefined, param!) : undefined;
}

/** Puts the pictures into the store. */
async function readPictures(
  { init_images: [image = ""], mask }: PictureRequest,
  { pictures }: ServerContext,
): Promise<RequestPictures> {
  const { artifact } = await readUpload(pictures, pictureBytes(image, "init_images"), "init_images");
  if (!mask) return { image: artifact };
  const read = await readUpload(pictures, pictureBytes(mask, "mask"), "mask");
  if (read.transparent === null) return { image: artifact, mask: read.artifact };
  throw new ApiError("invalid_value", "mask: must be opaque, with the area to repaint in white", {
    param: "mask",
  });
}
