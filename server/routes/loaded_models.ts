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
    description: "The models whose weights it holds; none where weights are read anew for each stage.",
  }),
  resident_bytes: z.int().nullable().openapi({ description: "Its resident memory; null where unknown." }),
  busy: z.boolean().openapi({ description: "Whether it runs or checks a stage." }),
  used: z.number().openapi({ description: "When it was used last, in seconds since 1970." }),
  ends: z.number().nullable().openapi({
    description:
      "When it ends unless it is used before, in seconds since 1970; null for never, or while busy.",
  }),
}).openapi("LoadedProcess");

const listRoute = createRoute({
  method: "get",
  path: "/v1/models/loaded",
  operationId: "listLoadedModels",
  tags,
  summary: "Lists the processes that are kept warm, and the models that they hold",
  responses: {
    200: json(
      z.object({ object: z.literal("list"), data: z.array(processSchema) }),
      "The processes; none on a server whose stages run on the workers of a queue.",
    ),
    ...faults,
  },
});

const unloadRoute = createRoute({
  method: "delete",
  path: "/v1/models/loaded",
  operationId: "unloadModels",
  tags,
  summary: "Gives back the memory of a model, or of all, at once",
  description: "Ends the processes that hold it. One that is at work ends once its run is over.",
  request: {
    query: z.object({
      model: z.string().max(200).optional().openapi({ description: "The model; all unless given." }),
    }),
  },
  responses: {
    200: json(z.object({ unloaded: z.array(z.string()) }), "The models that are no longer loaded."),
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
