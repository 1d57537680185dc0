/**
 * `POST /v1/images/generations`, compatible with clients of the OpenAI API, and the answer that it shares
 * with edits.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { toBase64 } from "../../artifacts/base64.ts";
import { ApiError } from "../api_error.ts";
import { queueClient } from "../client_name.ts";
import type { ServerContext, ServerEnv } from "../context.ts";
import { eventStream } from "../event_stream.ts";
import { PartialImages, type PictureEvents } from "../partial_images.ts";
import type { Job } from "../jobs/job.ts";
import { requireEnded } from "../jobs/require_ended.ts";
import { jobReply, picturePath } from "../job_reply.ts";
import type { RequestPictures } from "../job_graphs.ts";
import { submitPictures } from "../order_pictures.ts";
import { router } from "../router.ts";
import {
  type ImageRequest,
  imageRequestSchema,
  imagesResponseSchema,
  responseFormat,
  type SettledImageRequest,
  settleImageRequest,
} from "../schemas/image_request.ts";
import { faults } from "./responses.ts";

/** The route. Gateways in front of the server use it too. */
export const imageRoute = createRoute({
  method: "post",
  path: "/v1/images/generations",
  operationId: "createImage",
  tags: ["Images"],
  summary: "Generates pictures from text",
  description:
    "Compatible with the OpenAI API. With `stream`, the response is a stream of server-sent events " +
    "`image_generation.partial_image` and `image_generation.completed`.",
  request: { body: { required: true, content: { "application/json": { schema: imageRequestSchema } } } },
  responses: {
    200: {
      description: "The pictures, or the stream of events.",
      content: {
        "application/json": { schema: imagesResponseSchema },
        "text/event-stream": { schema: z.string() },
      },
    },
    ...faults,
  },
});

/** Creates the route of image generations. */
export function imageRoutes(server: ServerContext) {
  return router().openapi(
    imageRoute,
    (context) => answerPictures(settleImageRequest(context.req.valid("json")), context, server),
  );
}

/**
 * Makes the pictures of a request and answers with them.
 *
 * @param settled The request.
 * @param context The HTTP request.
 * @param server The server's state.
 * @param from The input pictures, if the request edits one.
 */
export async function answerPictures(
  settled: SettledImageRequest,
  context: Context<ServerEnv>,
  server: ServerContext,
  from?: RequestPictures,
) {
  const { request } = settled;
  const job = await submitPictures(settled, queueClient(context, request.user), server, { from });
  if (request.stream) {
    return streamPictures(context, job, request, server, from ? "image_edit" : "image_generation");
  }
  await server.jobs.ended(job.id, context.req.raw.signal);
  const over = requireEnded(server.jobs, job.id);
  const data = await pictures(over, request, context, server);
  return context.json({
    created: Math.floor(over.created),
    data,
    output_format: request.output_format ?? "png",
    size: sizeOf(over),
    warnings: over.warnings,
  }, 200);
}

/** Returns the pictures of a completed job. */
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

/** Streams the previews, and then the pictures. */
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
      const over = requireEnded(server.jobs, job.id);
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

/** Returns the size of a job's pictures in the format of the OpenAI API. */
function sizeOf({ artifacts }: Job): string {
  const made = Object.values(artifacts).find(({ images }) => images);
  return made ? `${made.width}x${made.height}` : "auto";
}
