/**
 * Turns picture requests in the style of other APIs into jobs.
 *
 * @module
 */

import type { PictureRequestInput } from "../graph/picture_request.ts";
import { keepAliveMs } from "../pixstage/duration.ts";
import { ApiError } from "./api_error.ts";
import type { PlanningContext, ServerContext } from "./context.ts";
import { findModel, orderOf, pictureGraph, type RequestPictures } from "./job_graphs.ts";
import type { Job } from "./jobs/job.ts";
import type { JobOrder } from "./jobs/jobs_options.ts";
import type { QueueClient } from "./jobs/queue_places.ts";
import type { AnyImageRequest, SettledImageRequest } from "./schemas/image_request.ts";

/** Request field names, by the name that the stages use. */
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

/** Options of {@linkcode submitPictures} and {@linkcode orderPictures}. */
export interface OrderPicturesOptions {
  /** The input pictures, if the request edits one. */
  readonly from?: RequestPictures | undefined;
  /**
   * Whether denoising events include an intermediate image at every step.
   *
   * @default {whether the request asks for a stream with partial images}
   */
  readonly previews?: boolean | undefined;
}

/**
 * Submits the job of a picture request.
 *
 * @param settled The request.
 * @param client The client that asks.
 * @param server The server's state.
 * @param options Options of the order.
 * @returns The job.
 * @throws {ApiError} if the request is refused, naming the field as the request does.
 */
export async function submitPictures(
  settled: SettledImageRequest,
  client: QueueClient,
  server: ServerContext,
  options: OrderPicturesOptions = {},
): Promise<Job> {
  using place = server.jobs.reserve(client);
  return server.jobs.submit(await orderPictures(settled, server, options), place);
}

/**
 * Turns a request into an order. Refuses an impossible request before any weight is read.
 *
 * @param settled The request.
 * @param server The models, stages and limits that the request is checked against.
 * @param options Options of the order.
 * @throws {ApiError} with the first fault, naming the field as the request does.
 */
export async function orderPictures(
  { request, warnings, called }: SettledImageRequest,
  server: PlanningContext,
  { from, previews = Boolean(request.stream && request.partial_images) }: OrderPicturesOptions = {},
): Promise<JobOrder> {
  const pictureRequest = toPictureRequest(request, server);
  const { keep_alive, control_image: controlImage } = request;
  const pictures = controlImage ? { ...from, controlImage } : from;
  try {
    return await orderOf({
      kind: "picture",
      request: { ...pictureRequest, ...pictures },
      graph: pictureGraph(pictureRequest, server, [], pictures),
      previews,
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
    precision: request.precision ? { "*": request.precision } : undefined,
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
