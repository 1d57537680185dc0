/**
 * Routes that list and unload the processes that the server keeps warm, with the models whose weights they
 * have loaded.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { residentBytesOf } from "../../runtime/memory.ts";
import type { ServerContext } from "../context.ts";
import { findModel } from "../job_graphs.ts";
import { router } from "../router.ts";
import { faults, json } from "./responses.ts";

const tags = ["Capabilities"];

const processSchema = z.object({
  models: z.array(z.string()).openapi({
    description: "The models whose weights are in memory. Empty if weights are read again for each stage.",
  }),
  resident_bytes: z.int().nullable().openapi({ description: "Resident memory in bytes; null if unknown." }),
  busy: z.boolean().openapi({ description: "Whether the process is running or preparing a stage." }),
  used: z.number().openapi({ description: "Time of the last use, in seconds since 1970." }),
  ends: z.number().nullable().openapi({
    description:
      "When the process ends if it is not used before then, in seconds since 1970; null for never, or while busy.",
  }),
}).openapi("LoadedProcess");

const listRoute = createRoute({
  method: "get",
  path: "/v1/models/loaded",
  operationId: "listLoadedModels",
  tags,
  summary: "Lists the warm processes and the models in their memory",
  responses: {
    200: json(
      z.object({ object: z.literal("list"), data: z.array(processSchema) }),
      "The processes. Empty if the workers of a queue run the stages.",
    ),
    ...faults,
  },
});

const unloadRoute = createRoute({
  method: "delete",
  path: "/v1/models/loaded",
  operationId: "unloadModels",
  tags,
  summary: "Unloads a model, or all models, at once",
  description: "Ends the processes that have the model in memory. A busy process ends after its run.",
  request: {
    query: z.object({
      model: z.string().max(200).optional().openapi({ description: "The model (default: all)." }),
    }),
  },
  responses: {
    200: json(z.object({ unloaded: z.array(z.string()) }), "The models that were unloaded."),
    ...faults,
  },
});

/** Creates the routes of loaded models. */
export function loadedModelRoutes({ engine, models }: ServerContext) {
  return router()
    .openapi(listRoute, (context) => {
      const data = engine.hosts().map(({ pid, models, isBusy, usedAt, endsAt }) => ({
        models: [...models],
        resident_bytes: pid === undefined ? null : residentBytesOf(pid) ?? null,
        busy: isBusy,
        used: usedAt / 1000,
        ends: endsAt === null ? null : endsAt / 1000,
      }));
      return context.json({ object: "list" as const, data }, 200);
    })
    .openapi(unloadRoute, async (context) => {
      const { model } = context.req.valid("query");
      const name = model === undefined ? undefined : findModel(models, model, "model").name;
      return context.json({ unloaded: [...new Set(await engine.unload(name))].sort() }, 200);
    });
}
