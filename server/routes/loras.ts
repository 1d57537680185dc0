/**
 * The route that lists the LoRA adapters that requests may name.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { ServerContext } from "../context.ts";
import { router } from "../router.ts";
import { faults, json } from "./responses.ts";

const loraSchema = z.object({
  id: z.string(),
  object: z.literal("lora"),
  layers: z.int().openapi({ description: "Number of layers that the adapter changes." }),
  models: z.array(z.string()).openapi({ description: "The models that the adapter fits." }),
}).openapi("Lora");

const route = createRoute({
  method: "get",
  path: "/v1/loras",
  operationId: "listLoras",
  tags: ["Capabilities"],
  summary: "Lists the LoRA adapters",
  responses: {
    200: json(
      z.object({ object: z.literal("list"), data: z.array(loraSchema) }),
      "The adapters, each with the models that it fits.",
    ),
    ...faults,
  },
});

/** Creates the route that lists the LoRA adapters. */
export function loraRoutes({ loras }: Pick<ServerContext, "loras">) {
  const data = loras.map(({ name, layers, models }) => ({
    id: name,
    object: "lora" as const,
    layers,
    models: [...models],
  }));
  return router().openapi(route, (context) => context.json({ object: "list" as const, data }, 200));
}
