/**
 * Routes that describe what the server offers: models, stages, schedulers and limits.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { PICTURE_FORMATS } from "../../images/picture.ts";
import { listSchedulers } from "../../schedulers/mod.ts";
import type { PlanningContext } from "../context.ts";
import { findModel } from "../job_graphs.ts";
import { router } from "../router.ts";
import type { ServedModel } from "../served_models.ts";
import { faults, json } from "./responses.ts";

const tags = ["Capabilities"];

const modelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  family: z.string(),
  description: z.string().optional(),
  license: z.string().optional(),
  defaults: z.object({
    width: z.int(),
    height: z.int(),
    steps: z.int(),
    guidance_scale: z.number(),
    scheduler: z.string(),
    negative_prompt: z.string(),
  }),
}).openapi("Model");

const listedModelSchema = modelSchema.extend({
  loaded: z.boolean().openapi({ description: "Whether a warm process has weights of the model in memory." }),
}).openapi("ListedModel");

const modelListSchema = z.object({ object: z.literal("list"), data: z.array(listedModelSchema) });

const portSchema = z.record(
  z.string(),
  z.object({ kind: z.string(), description: z.string(), optional: z.boolean().optional() }),
);

const capabilitiesSchema = z.object({
  models: z.array(modelSchema),
  decoders: z.array(z.string()),
  transformers: z.array(z.string()),
  controlnets: z.array(z.string()),
  loras: z.array(z.string()),
  schedulers: z.array(z.object({
    name: z.string(),
    short_names: z.array(z.string()),
    description: z.string(),
  })),
  stages: z.array(z.object({
    name: z.string(),
    version: z.string(),
    description: z.string(),
    inputs: portSchema,
    outputs: portSchema,
    parameters: z.unknown(),
  })),
  output_formats: z.array(z.string()),
  limits: z.record(z.string(), z.int()),
  features: z.record(z.string(), z.boolean()),
}).openapi("Capabilities");

const listRoute = createRoute({
  method: "get",
  path: "/v1/models",
  operationId: "listModels",
  tags,
  summary: "Lists the models",
  responses: { 200: json(modelListSchema, "The models, the default first."), ...faults },
});

const modelRoute = createRoute({
  method: "get",
  path: "/v1/models/{model}",
  operationId: "getModel",
  tags,
  summary: "Gets a model",
  request: { params: z.object({ model: z.string().max(200) }) },
  responses: { 200: json(listedModelSchema, "The model."), ...faults },
});

const capabilitiesRoute = createRoute({
  method: "get",
  path: "/v1/capabilities",
  operationId: "getCapabilities",
  tags,
  summary: "Gets the choices and the limits of requests",
  responses: {
    200: json(capabilitiesSchema, "The models, schedulers, stages, limits and features."),
    ...faults,
  },
});

/** Creates the routes of models and capabilities. */
export function modelRoutes(server: PlanningContext) {
  const created = Math.floor(Date.now() / 1000);
  const models = server.models.map((model) => describe(model, created));
  const capabilities: z.infer<typeof capabilitiesSchema> = {
    models,
    decoders: [...server.decoders],
    transformers: [...server.transformers],
    controlnets: [...server.controlnets],
    loras: server.loras.map(({ name }) => name),
    schedulers: listSchedulers().map(({ name, shortNames, description }) => ({
      name,
      short_names: [...shortNames],
      description,
    })),
    stages: server.registry.list().map(({ name, version, description, inputs, outputs, parameters }) => ({
      name,
      version,
      description,
      inputs,
      outputs,
      parameters: z.toJSONSchema(parameters, { io: "input", unrepresentable: "any" }),
    })),
    output_formats: [...PICTURE_FORMATS],
    limits: { ...server.limits },
    features: {
      cancel_queued: true,
      cancel_running: true,
      progress_events: true,
      previews: true,
      replayable_events: true,
      artifacts: true,
      stages: true,
      graphs: true,
      resume_after_restart: true,
      loras: true,
      image_edits: true,
      sdapi: true,
      mcp: true,
      keep_alive: true,
      history_search: true,
      stars: true,
    },
  };
  const withLoaded = (listed: readonly z.infer<typeof modelSchema>[]) => {
    const loaded = new Set(server.engine.hosts().flatMap(({ models }) => models));
    return listed.map((model) => ({ ...model, loaded: loaded.has(model.id) }));
  };
  return router()
    .openapi(listRoute, (context) => {
      return context.json({ object: "list" as const, data: withLoaded(models) }, 200);
    })
    .openapi(modelRoute, (context) => {
      const { name } = findModel(server.models, context.req.valid("param").model, "model");
      return context.json(withLoaded(models).find(({ id }) => id === name)!, 200);
    })
    .openapi(capabilitiesRoute, (context) => context.json(capabilities, 200));
}

function describe(model: ServedModel, created: number): z.infer<typeof modelSchema> {
  const { name, family, defaults, width, height, scheduler, steps, guidanceScale } = model;
  return {
    id: name,
    object: "model",
    created,
    owned_by: "pixstage",
    family,
    ...(defaults.description === undefined ? {} : { description: defaults.description }),
    ...(defaults.license === undefined ? {} : { license: defaults.license }),
    defaults: {
      width,
      height,
      steps,
      guidance_scale: guidanceScale,
      scheduler,
      negative_prompt: defaults.negativePrompt ?? "",
    },
  };
}
