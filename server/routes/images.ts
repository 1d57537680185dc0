/**
 * `POST /v1/images/generations`, as clients of the OpenAI API speak it, and the answer that edits have too.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { toBase64 } from "../../artifacts/base64.ts";
import type { PictureRequestInput } from "../../graph/picture_request.ts";
import { keepAliveMs } from "../../runtime/duration.ts";
import { ApiError } from "../api_error.ts";
import { queueClient } from "../client_name.ts";
import type { PlanningContext, ServerContext, ServerEnv } from "../context.ts";
import { eventStream } from "../event_stream.ts";
import { PartialImages, type PictureEvents } from "../partial_images.ts";
import type { Job } from "../jobs/job.ts";
import type { JobOrder } from "../jobs/jobs_options.ts";
import { jobReply, picturePath } from "../job_reply.ts";
import { findModel, orderOf, pictureGraph, type RequestPictures } from "../job_graphs.ts";
import { router } from "../router.ts";
import {
  type AnyImageRequest,
  type ImageRequest,
  imageRequestSchema,
  imagesResponseSchema,
  responseFormat,
  type SettledImageRequest,
  settleImageRequest,
} from "../schemas/image_request.ts";
import { faults } from "./responses.ts";

/** The route, also of gateways before the server. */
export const imageRoute = createRoute({
  method: "post",
  path: "/v1/images/generations",
  operationId: "createImage",
  tags: ["Images"],
  summary: "Makes pictures from text",
  description:
    "Speaks the protocol of the OpenAI API. With `stream` the answer is a stream of server-sent events " +
    "`image_generation.partial_image` and `image_generation.completed`.",
  request: { body: { required: true, content: { "application/json": { schema: imageRequestSchema } } } },
  responses: {
    200: {
      description: "The pictures, or the stream.",
      content: {
        "application/json": { schema: imagesResponseSchema },
        "text/event-stream": { schema: z.string() },
      },
    },
    ...faults,
  },
});

/** What a request's fields are called in the stages. */
const FIELD_NAMES: Readonly<Record<string, string>> = {
  prompts: "prompt",
  imagesPerPrompt: "n",
  seeds: "seed",
  width: "size",
  height: "size",
  request: "size",
  guidanceScale: "guidance_scale",
  guidanceInterval: "guidance_interval",
  stepCache: "step_cache",
  pagScale: "pag_scale",
  pagLayers: "pag_layers",
  pagAdaptiveScale: "pag_adaptive_scale",
  negativePrompt: "negative_prompt",
  softMask: "soft_mask",
  controlnetScale: "controlnet_scale",
  controlnetInterval: "controlnet_interval",
  controlImage: "control_image",
};

/** The routes. */
export function imageRoutes(server: ServerContext) {
  return router().openapi(
    imageRoute,
    (context) => answerPictures(settleImageRequest(context.req.valid("json")), context, server),
  );
}

/**
 * Makes the pictures of a request, and answers with them.
 *
 * @param settled The request.
 * @param context The request at hand.
 * @param server What the server has.
 * @param from The pictures that it begins from, where it edits one.
 */
export async function answerPictures(
  settled: SettledImageRequest,
  context: Context<ServerEnv>,
  server: ServerContext,
  from?: RequestPictures,
) {
  const { request } = settled;
  const controlImage = request.control_image ?? undefined;
  const job = await submit(settled, context, server, controlImage ? { ...from, controlImage } : from);
  if (request.stream) {
    return streamPictures(context, job, request, server, from ? "image_edit" : "image_generation");
  }
  const over = await server.jobs.ended(job.id, context.req.raw.signal);
  if (!over || over.completed === null) {
    // The client has gone, or the server is going.
    server.jobs.cancel(job.id);
    throw new ApiError("interrupted", "The request was interrupted");
  }
  const data = await pictures(over, request, context, server);
  return context.json({
    created: Math.floor(over.created),
    data,
    output_format: request.output_format ?? "png",
    size: sizeOf(over),
    warnings: over.warnings,
  }, 200);
}

async function submit(
  settled: SettledImageRequest,
  context: Context<ServerEnv>,
  server: ServerContext,
  from: RequestPictures | undefined,
): Promise<Job> {
  using place = server.jobs.reserve(queueClient(context, settled.request.user));
  return server.jobs.submit(await orderPictures(settled, server, from), place);
}

/**
 * Makes an order of a request: refuses what cannot be made, before any weight is read.
 *
 * @param settled The request.
 * @param server What the request is held against.
 * @param from The pictures that it begins from.
 * @throws {ApiError} with the first fault, under the name that the request has for the field.
 */
export async function orderPictures(
  { request, warnings, called }: SettledImageRequest,
  server: PlanningContext,
  from?: RequestPictures,
): Promise<JobOrder> {
  const pictureRequest = toPictureRequest(request, server);
  const { keep_alive } = request;
  try {
    return await orderOf({
      kind: "picture",
      request: { ...pictureRequest, ...from },
      graph: pictureGraph(pictureRequest, server, [], from),
      previews: Boolean(request.stream && request.partial_images),
      keepAliveMs: keep_alive === undefined || keep_alive === null ? undefined : keepAliveMs(keep_alive),
      warnings,
    }, server);
  } catch (error) {
    if (!(error instanceof ApiError) || error.param === undefined) throw error;
    const { code, message, param: stageField, headers, details } = error;
    const field = stageField.split(".").findLast((part) => !/^\d+$/.test(part))!;
    const name = Object.hasOwn(FIELD_NAMES, field) ? FIELD_NAMES[field]! : field;
    const param = called.get(field) ?? called.get(name) ?? name;
    const told = message.startsWith(stageField) ? param + message.slice(stageField.length) : message;
    throw new ApiError(code, told, { param, headers, details });
  }
}

function toPictureRequest(
  request: AnyImageRequest,
  { models }: Pick<ServerContext, "models">,
): PictureRequestInput {
  const { prompt, n, size, seed, steps, guidance_scale, guidance_interval, negative_prompt, scheduler } =
    request;
  const isSized = typeof size === "string" && size !== "auto";
  const [width, height] = isSized ? size.split("x").map(Number) : [request.width, request.height];
  const isDrawn = seed === undefined || seed === null || Number(seed) === -1;
  const optional = {
    width,
    height,
    steps,
    guidanceScale: guidance_scale,
    guidanceInterval: guidance_interval,
    stepCache: request.step_cache,
    pagScale: request.pag_scale,
    pagLayers: request.pag_layers,
    pagAdaptiveScale: request.pag_adaptive_scale,
    loras: request.loras,
    controlnet: request.controlnet,
    controlnetScale: request.controlnet_scale,
    controlnetInterval: request.controlnet_interval,
    strength: request.strength,
    softMask: request.soft_mask,
    wildcards: request.wildcards,
    negativePrompt: negative_prompt,
    scheduler,
  };
  return {
    model: findModel(models, request.model, "model").name,
    prompts: [prompt],
    imagesPerPrompt: n ?? 1,
    seeds: [isDrawn ? crypto.getRandomValues(new Uint32Array(1))[0]! : seed],
    ...Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined && value !== null),
    ),
  };
}

/** The pictures of a job that has ended well. */
async function pictures(
  job: Job,
  request: ImageRequest,
  context: Context<ServerEnv>,
  server: ServerContext,
): Promise<z.infer<typeof imagesResponseSchema>["data"]> {
  if (job.error) throw ApiError.ofJob(job.error);
  if (job.status === "cancelled") throw new ApiError("cancelled", "The job was cancelled");
  const format = request.output_format ?? "png";
  const quality = request.output_compression ?? undefined;
  const data = [];
  const { protocol, host, prefix } = context.env.address;
  for (const { artifact, image, seed } of jobReply(job, server, context.env.address).images) {
    const named = seed === null ? {} : { seed };
    if (responseFormat(request) === "url") {
      if (server.publish) {
        const url = await server.publish({ artifact, image, format, quality });
        if (url === undefined) throw lost();
        data.push({ url, ...named });
        continue;
      }
      const query = new URLSearchParams({
        format,
        ...(quality === undefined ? {} : { quality: String(quality) }),
      });
      const link = server.links.link(picturePath(artifact, image), query);
      data.push({ url: `${protocol}://${host}${prefix}${link}`, ...named });
      continue;
    }
    const file = await server.pictures.write({ artifact, image, format, quality });
    if (!file) throw lost();
    data.push({ b64_json: toBase64(file), ...named });
  }
  return data;
}

function lost(): ApiError {
  return new ApiError("lost", "The picture is no longer in the store");
}

/** Answers with previews, and then with the pictures. */
function streamPictures(
  context: Context<ServerEnv>,
  job: Job,
  request: ImageRequest,
  server: ServerContext,
  events: PictureEvents,
): Response {
  return eventStream(context, server, async (stream, gone) => {
    gone.addEventListener("abort", () => server.jobs.cancel(job.id));
    const send = async <E extends { readonly type: string }>(event: E): Promise<void> =>
      await stream.writeSSE({ event: event.type, data: JSON.stringify(event) });
    try {
      const previews = new PartialImages(request.partial_images ?? 0, events);
      for await (const { data } of server.jobs.follow(job.id, 0, gone, true)) {
        const found = previews.take(JSON.parse(data));
        if (found) await send(found);
      }
      const over = server.jobs.get(job.id)!;
      for (const { b64_json, url, seed } of await pictures(over, request, context, server)) {
        await send({
          type: `${events}.completed`,
          ...(b64_json === undefined ? { url } : { b64_json }),
          created_at: Math.floor(over.created),
          size: sizeOf(over),
          quality: "auto",
          background: "opaque",
          output_format: request.output_format ?? "png",
          seed,
          warnings: over.warnings,
        });
      }
    } catch (error) {
      await stream.writeSSE({ event: "error", data: JSON.stringify(ApiError.from(error)) });
    }
  });
}

/** The size of a job's pictures as the API writes it. */
function sizeOf({ artifacts }: Job): string {
  const made = Object.values(artifacts).find(({ images }) => images);
  return made ? `${made.width}x${made.height}` : "auto";
}
