/**
 * `/sdapi/v1`: models, samplers, options and progress, for clients of AUTOMATIC1111's web UI.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { JSONValue } from "hono/utils/types";
import { freemem, totalmem } from "node:os";
import { memoryUsage } from "node:process";
import { residentBytesOf } from "../../runtime/memory.ts";
import { ApiError } from "../api_error.ts";
import type { ServerContext } from "../context.ts";
import { readTexts } from "../pictures/read_upload.ts";
import { router } from "../router.ts";
import type { CurrentModel } from "../sdapi/current_model.ts";
import { timestamp } from "../sdapi/generation_reply.ts";
import type { Generations } from "../sdapi/generations.ts";
import { parseInfotext } from "../sdapi/infotext.ts";
import { pictureBytes } from "../sdapi/picture_data.ts";
import { SAMPLERS, SCHEDULES } from "../sdapi/samplers.ts";
import { isSupportedSetting } from "../sdapi/unsupported_fields.ts";
import { faults, json } from "./responses.ts";

const tags = ["AUTOMATIC1111"];

/** The path of the route that reads a picture's parameters. */
export const PNG_INFO_PATH = "/sdapi/v1/png-info";

/** Options for which this server supports only one value. */
const FIXED_OPTIONS = { sd_vae: "Automatic", CLIP_stop_at_last_layers: 1, samples_format: "png" } as const;

/**
 * Lists of web UI features that this server lacks. Empty answers keep clients that query all of them working.
 */
const EMPTY_LISTS: Readonly<Record<string, JSONValue>> = {
  "upscalers": [],
  "latent-upscale-modes": [],
  "sd-vae": [],
  "hypernetworks": [],
  "face-restorers": [],
  "prompt-styles": [],
  "embeddings": { loaded: {}, skipped: {} },
  "scripts": { txt2img: [], img2img: [] },
  "cmd-flags": {},
};

const anything = z.unknown().openapi({ type: "object" });
const things = z.array(z.record(z.string(), z.unknown()).openapi({ type: "object" }));

function reading<P extends string, S extends z.ZodType>(
  path: P,
  operationId: string,
  summary: string,
  schema: S,
) {
  return createRoute({
    method: "get",
    path,
    operationId,
    tags,
    summary,
    responses: { 200: json(schema, "The same as in the web UI."), ...faults },
  });
}

function order<P extends string>(path: P, operationId: string, summary: string) {
  return createRoute({
    method: "post",
    path,
    operationId,
    tags,
    summary,
    responses: { 200: json(anything, "An empty reply, as in the web UI."), ...faults },
  });
}

const samplersRoute = reading("/sdapi/v1/samplers", "sdSamplers", "Lists the samplers", things);
const schedulersRoute = reading("/sdapi/v1/schedulers", "sdSchedulers", "Lists the schedules", things);
const modelsRoute = reading("/sdapi/v1/sd-models", "sdModels", "Lists the models", things);
const lorasRoute = reading("/sdapi/v1/loras", "sdLoras", "Lists the LoRA adapters", things);
const optionsRoute = reading(
  "/sdapi/v1/options",
  "sdOptions",
  "Gets the options, including the model",
  anything,
);
const memoryRoute = reading("/sdapi/v1/memory", "sdMemory", "Gets the memory of this machine", anything);
const interruptRoute = order("/sdapi/v1/interrupt", "sdInterrupt", "Cancels the running job");
const skipRoute = order("/sdapi/v1/skip", "sdSkip", "Cancels the running job");
const unloadRoute = order("/sdapi/v1/unload-checkpoint", "sdUnload", "Unloads all models");
const refreshRoute = order(
  "/sdapi/v1/refresh-checkpoints",
  "sdRefresh",
  "Does nothing, because the server lists its models once, at the start",
);
const refreshLorasRoute = order(
  "/sdapi/v1/refresh-loras",
  "sdRefreshLoras",
  "Does nothing, because the server lists its adapters once, at the start",
);

const setRoute = createRoute({
  ...order("/sdapi/v1/options", "sdSetOptions", "Sets the default model"),
  request: {
    body: {
      required: true,
      content: {
        "application/json": { schema: z.record(z.string(), z.unknown()).openapi({ type: "object" }) },
      },
    },
  },
});

const progressRoute = createRoute({
  ...reading("/sdapi/v1/progress", "sdProgress", "Gets the progress of the current job", anything),
  request: { query: z.object({ skip_current_image: z.string().max(8).optional() }) },
});

const infoRoute = createRoute({
  method: "post",
  path: PNG_INFO_PATH,
  operationId: "sdPngInfo",
  tags,
  summary: "Reads the generation parameters of a picture",
  request: {
    body: {
      required: true,
      content: { "application/json": { schema: z.object({ image: z.string() }).openapi("SdPicture") } },
    },
  },
  responses: { 200: json(anything, "The same as in the web UI."), ...faults },
});

/** Creates the routes of models, samplers, options and progress. */
export function sdapiStateRoutes(
  { engine, models, loras, pictures }: ServerContext,
  current: CurrentModel,
  generations: Generations,
) {
  const routes = router();
  for (const [name, value] of Object.entries(EMPTY_LISTS)) {
    const route = reading(
      `/sdapi/v1/${name}`,
      `sd-${name}`,
      "Returns an empty list, because the server does not have these",
      anything,
    );
    routes.openapi(route, (context) => context.json(value, 200));
  }
  return routes
    .openapi(samplersRoute, (context) => {
      return context.json(
        SAMPLERS.map(({ name, aliases }) => ({ name, aliases: [...aliases], options: {} })),
        200,
      );
    })
    .openapi(schedulersRoute, (context) => {
      const all = SCHEDULES.map(({ name, label }) => ({
        name,
        label,
        aliases: null,
        default_rho: -1,
        need_inner_model: false,
      }));
      return context.json(all, 200);
    })
    .openapi(modelsRoute, (context) => {
      const all = models.map(({ name }) => ({
        title: name,
        model_name: name,
        hash: null,
        sha256: null,
        filename: name,
        config: null,
      }));
      return context.json(all, 200);
    })
    .openapi(lorasRoute, (context) => {
      const all = loras.map(({ name }) => ({
        name,
        alias: name.split("/").at(-1) ?? name,
        path: name,
        metadata: {},
      }));
      return context.json(all, 200);
    })
    .openapi(optionsRoute, (context) => {
      return context.json({
        sd_model_checkpoint: current.name ?? null,
        sd_checkpoint_hash: "",
        ...FIXED_OPTIONS,
      }, 200);
    })
    .openapi(setRoute, (context) => {
      const asked = context.req.valid("json");
      for (const [name, value] of Object.entries(FIXED_OPTIONS)) {
        const given = asked[name];
        if (given === undefined || given === null || given === value) continue;
        if (isSupportedSetting(name, given)) continue;
        const message = `${name}: this server supports only ${JSON.stringify(value)}`;
        throw new ApiError("invalid_value", message, { param: name });
      }
      const { sd_model_checkpoint: model } = asked;
      if (model !== undefined && model !== null) current.choose(String(model), "sd_model_checkpoint");
      return context.json(null, 200);
    })
    .openapi(progressRoute, (context) => {
      const { share, seconds, job, count, step, steps, preview } = generations.progress();
      const isSkipped = /^(?:true|1|yes|on)$/i.test(context.req.valid("query").skip_current_image ?? "");
      const state = {
        skipped: false,
        interrupted: false,
        stopping_generation: false,
        job: job?.id ?? "",
        job_count: count,
        job_timestamp: job ? timestamp(job.created) : "0",
        job_no: 0,
        sampling_step: step,
        sampling_steps: steps,
      };
      const current_image = isSkipped ? null : preview ?? null;
      return context.json(
        { progress: share, eta_relative: seconds, state, current_image, textinfo: null },
        200,
      );
    })
    .openapi(memoryRoute, (context) => {
      const pids = engine.hosts().flatMap(({ pid }) => pid === undefined ? [] : [pid]);
      const used = pids.reduce((sum, pid) => sum + (residentBytesOf(pid) ?? 0), memoryUsage.rss());
      return context.json({
        ram: { free: freemem(), used, total: totalmem() },
        cuda: { error: "unavailable" },
      }, 200);
    })
    .openapi(interruptRoute, (context) => {
      generations.interrupt();
      return context.json({}, 200);
    })
    .openapi(skipRoute, (context) => {
      generations.interrupt();
      return context.json({}, 200);
    })
    .openapi(unloadRoute, async (context) => {
      await engine.unload();
      return context.json({}, 200);
    })
    .openapi(refreshRoute, (context) => context.json(null, 200))
    .openapi(refreshLorasRoute, (context) => context.json(null, 200))
    .openapi(infoRoute, async (context) => {
      const bytes = pictureBytes(context.req.valid("json").image, "image");
      const texts = await readTexts(pictures, bytes, "image");
      const { parameters: info = "", ...items } = Object.fromEntries(texts);
      return context.json({ info, items, parameters: info === "" ? {} : parseInfotext(info) }, 200);
    });
}
