/**
 * The tool `generate_image`: makes pictures, reports progress, and stops if the client cancels.
 *
 * @module
 */

import type { CallToolResult } from "@modelcontextprotocol/sdk/types";
import { z } from "zod";
import { toBase64 } from "../../artifacts/base64.ts";
import { MEDIA_TYPES } from "../../images/picture.ts";
import { type RunEvent, runEventSchema } from "../../graph/events.ts";
import { promptSchema } from "../../text/prompt.ts";
import { ApiError } from "../api_error.ts";
import type { ServerContext } from "../context.ts";
import { jobImages, picturePath } from "../job_reply.ts";
import type { Job } from "../jobs/job.ts";
import { requireEnded } from "../jobs/require_ended.ts";
import { submitPictures } from "../order_pictures.ts";
import { imageRequestSchema, settleImageRequest } from "../schemas/image_request.ts";
import type { McpClient } from "./sessions.ts";

const { steps, guidance_scale, scheduler, width, height } = imageRequestSchema.shape;

/** Input schema of the tool, from the fields of `POST /v1/images/generations`. */
export const generateImageInput = {
  prompt: promptSchema.clone().describe("What the picture shows, in English."),
  negative_prompt: promptSchema.optional().describe("What the picture should not show."),
  model: z.string().optional().describe("A model from list_models (default: the first)."),
  n: z.int().min(1).max(4).optional().describe("Number of pictures (default: 1)."),
  width: width.unwrap().unwrap().optional().describe("In pixels (default: the model's default size)."),
  height: height.unwrap().unwrap().optional().describe("In pixels (default: the model's default size)."),
  steps: steps.unwrap().unwrap().optional().describe("Number of denoising steps (default: the model's)."),
  guidance_scale: guidance_scale.unwrap().unwrap().optional().describe(
    "How strongly the prompt guides the picture.",
  ),
  scheduler: scheduler.unwrap().unwrap().optional().describe("For example dpm++2m, euler_a or lcm."),
  seed: z.int().min(0).optional().describe(
    "The same seed and settings give the same picture (default: a random seed).",
  ),
  format: z.enum(["webp", "png", "jpeg"]).optional().describe(
    "Format of the pictures in the answer (default: webp).",
  ),
};

/** Input of the tool. */
export type GenerateImageInput = z.infer<z.ZodObject<typeof generateImageInput>>;

/** Options of a call. */
export interface CallOptions {
  /** The calling client. */
  readonly client: McpClient;
  /** Aborted when the client cancels the call. */
  readonly signal: AbortSignal;
  /** Reports progress, if the client asks for it. */
  readonly onProgress: ((done: number, total: number, message: string) => Promise<void>) | undefined;
}

/**
 * Makes pictures.
 *
 * @param input Input of the tool.
 * @param options Options of the call.
 * @param server The server's state.
 * @returns The pictures, and a text with their settings and addresses.
 * @throws {ApiError} if the request is refused or fails.
 */
export async function generateImage(
  { format = "webp", ...fields }: GenerateImageInput,
  { client: { queue, address }, signal, onProgress }: CallOptions,
  server: ServerContext,
): Promise<CallToolResult> {
  const settled = settleImageRequest(imageRequestSchema.parse(fields));
  const job = await submitPictures(settled, queue, server);
  try {
    for await (const { data } of server.jobs.follow(job.id, 0, signal, true)) {
      await report(runEventSchema.parse(JSON.parse(data)), onProgress);
    }
  } finally {
    if (signal.aborted) server.jobs.cancel(job.id);
  }
  const over = requireEnded(server.jobs, job.id);
  if (over.error) throw ApiError.ofJob(over.error);
  if (over.status === "cancelled") throw new ApiError("cancelled", "The job was cancelled");
  const content: CallToolResult["content"] = [];
  const texts: string[] = [];
  for (const { artifact, image, width, height, seed } of jobImages(over)) {
    const file = await server.pictures.write({ artifact, image, format });
    if (!file) throw new ApiError("lost", "The picture is no longer in the store");
    content.push({ type: "image", data: toBase64(file), mimeType: MEDIA_TYPES[format] });
    const link = server.links.link(picturePath(artifact, image), new URLSearchParams({ format: "png" }));
    const { protocol, host, prefix } = address;
    texts.push(`${width}x${height}, seed ${seed}: ${protocol}://${host}${prefix}${link}`);
  }
  return {
    content: [...content, { type: "text", text: [...texts, settings(over), ...over.warnings].join("\n") }],
  };
}

/** Formats the settings of a job's request. */
function settings({ request, graph }: Job): string {
  const { prompts: _prompts, seeds: _seeds, imagesPerPrompt: _images, ...others } = request ?? graph;
  return Object.entries(others).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(
      ", ",
    );
}

async function report(event: RunEvent, onProgress: CallOptions["onProgress"]): Promise<void> {
  if (event.type !== "step" || event.stage !== "denoise") return;
  await onProgress?.(event.step, event.steps, `step ${event.step} of ${event.steps}`);
}
