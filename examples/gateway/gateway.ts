/**
 * A gateway before servers that have workers of a queue run their stages. It refuses and plans requests by itself, passes
 * artifacts between clients and S3, and leaves the rest to a server. It keeps nothing between requests.
 *
 * @module
 */

import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { combinedStore, type RunStore } from "../../artifacts/store/store.ts";
import { HttpStore } from "../../artifacts/store/http_store.ts";
import { MemoryStore } from "../../artifacts/store/memory_store.ts";
import type { S3Store } from "../../artifacts/store/s3_store.ts";
import { requireKey } from "../../server/access.ts";
import { ApiError } from "../../server/api_error.ts";
import { checkGraph } from "../../server/check_graph.ts";
import type { ServerEnv } from "../../server/context.ts";
import { findModel, modelNames, orderOf, pictureGraph } from "../../server/job_graphs.ts";
import { boundJson } from "../../server/json_bounds.ts";
import { orderPictures } from "../../server/order_pictures.ts";
import { PictureLinks } from "../../server/picture_links.ts";
import { router } from "../../server/router.ts";
import { imageRoute } from "../../server/routes/images.ts";
import { orderRoute } from "../../server/routes/jobs.ts";
import { loraRoutes } from "../../server/routes/loras.ts";
import { modelRoutes } from "../../server/routes/models.ts";
import { settleImageRequest } from "../../server/schemas/image_request.ts";
import { artifactRoutes } from "./artifact_routes.ts";
import type { Catalogue } from "./catalogue.ts";
import { planningContext } from "./planning.ts";

/** The route of orders, whose answers are the server's. */
const forwardedOrderRoute = createRoute({
  ...orderRoute,
  responses: { 202: { description: "The job, as the server tells of it." } },
});

/** How a gateway is set up. */
export interface GatewayOptions {
  /** The models behind it. */
  readonly catalogue: Catalogue;
  /** The address of the server. */
  readonly upstream: string;
  /** The server's API key. */
  readonly upstreamKey?: string | undefined;
  /** The key that requests must carry. */
  readonly apiKey?: string | undefined;
  /** The store of the server, where it is in S3; artifacts pass through the server otherwise. */
  readonly store?: S3Store | undefined;
}

/**
 * Makes a gateway.
 *
 * @param options How it is set up.
 * @returns What answers requests.
 */
export function createGateway(options: GatewayOptions): { fetch(request: Request): Promise<Response> } {
  const { catalogue, upstream, upstreamKey, apiKey, store } = options;
  const planning = planningContext(catalogue, store ?? upstreamStore(upstream, upstreamKey));
  const { limits } = planning;
  const app = router();

  // 1. Who may ask, and how much.
  if (apiKey !== undefined) app.use("/v1/*", requireKey(apiKey, new PictureLinks(upstreamKey)));
  const onError = (): never => {
    throw new ApiError("too_large", `The body may have ${limits.maxBodyBytes} bytes at most`);
  };
  for (const path of [imageRoute.path, orderRoute.path]) {
    app.use(path, bodyLimit({ maxSize: limits.maxBodyBytes, onError }));
    app.use(path, boundJson(limits));
  }

  // 2. What is answered, or refused, here.
  app.get("/healthz", (context) => context.json({ status: "ok" }));
  app.route("/", modelRoutes(planning));
  app.route("/", loraRoutes(planning));
  if (store) app.route("/", artifactRoutes(store, limits));
  app.openapi(imageRoute, async (context) => {
    await orderPictures(settleImageRequest(context.req.valid("json")), planning);
    return await forward(context, await context.req.text());
  });
  app.openapi(forwardedOrderRoute, async (context) => {
    const { request, graph } = context.req.valid("json");
    if (request) {
      const { image, mask, controlImage, ...plain } = request;
      const { name: model } = findModel(planning.models, request.model, "request.model");
      const pictures = { image, mask, controlImage };
      const planned = pictureGraph({ ...plain, model }, planning, ["request"], pictures);
      await orderOf({ kind: "picture", request, graph: planned, previews: false }, planning);
    } else if (graph) {
      const planned = checkGraph(graph, { ...planning, models: modelNames(planning) });
      await orderOf({ kind: "graph", request: null, graph: planned, previews: false }, planning);
    }
    return await forward(context, await context.req.text());
  });

  // 3. The rest is the server's: jobs and their events, uploads, pictures, the studio.
  app.all("*", (context) => forward(context));
  app.onError((error, context) => {
    const reply = error instanceof HTTPException && error.status < 500
      ? new ApiError("bad_request", error.message)
      : ApiError.from(error);
    return context.json(reply.toJSON(), reply.status, reply.headers);
  });
  return {
    async fetch(request) {
      const { protocol, host } = new URL(request.url);
      const client = request.headers.get("cf-connecting-ip") ?? undefined;
      return await app.fetch(request, {
        address: { client, protocol: protocol === "https:" ? "https" : "http", host, prefix: "" },
      });
    },
  };

  /** Passes a request on to the server, and its answer back, as streams. */
  async function forward({ req, env }: Context<ServerEnv>, body?: string): Promise<Response> {
    const { pathname, search } = new URL(req.url);
    const { client, protocol, host } = env.address;
    const headers = new Headers(req.raw.headers);
    headers.set("x-forwarded-proto", protocol);
    if (host !== undefined) headers.set("x-forwarded-host", host);
    if (client !== undefined) headers.set("x-forwarded-for", client);
    // Who gets here may use the API, not look at the server's figures.
    if (upstreamKey !== undefined && pathname.startsWith("/v1/")) {
      headers.set("authorization", `Bearer ${upstreamKey}`);
    }
    for (const name of ["host", "content-length"]) headers.delete(name);
    const target = `${upstream.replace(/\/+$/, "")}${pathname}${search}`;
    const init = { method: req.method, headers, redirect: "manual" as const };
    try {
      return await fetch(target, { ...init, body: body ?? req.raw.body });
    } catch (cause) {
      throw new ApiError(
        "engine_closed",
        "The server behind this gateway cannot be reached: try again later",
        {
          cause,
          headers: { "retry-after": "5" },
        },
      );
    }
  }
}

/** The artifacts of the server, for plans alone. */
function upstreamStore(upstream: string, token: string | undefined): RunStore {
  return combinedStore(new HttpStore(upstream, { token }), new MemoryStore());
}
