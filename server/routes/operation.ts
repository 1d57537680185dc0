/**
 * Routes for operators: health and metrics.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Metrics } from "../metrics.ts";
import { router } from "../router.ts";
import { json } from "./responses.ts";

const tags = ["Operation"];

const healthRoute = createRoute({
  method: "get",
  path: "/healthz",
  operationId: "getHealth",
  tags,
  summary: "Checks that the server is alive",
  responses: { 200: json(z.object({ status: z.literal("ok") }), "It does.") },
});

const metricsRoute = createRoute({
  method: "get",
  path: "/metrics",
  operationId: "getMetrics",
  tags,
  summary: "Metrics in the Prometheus text format",
  responses: { 200: { description: "The figures.", content: { "text/plain": { schema: z.string() } } } },
});

/** Creates the routes of health and metrics. */
export function operationRoutes(metrics: Metrics) {
  return router()
    .openapi(healthRoute, (context) => context.json({ status: "ok" as const }, 200))
    .openapi(
      metricsRoute,
      async (context) => context.text(await metrics.text(), 200, { "content-type": metrics.contentType }),
    );
}
