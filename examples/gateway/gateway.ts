/**
 * A gateway in front of a server whose stages run on the workers of a queue. The gateway plans requests and
 * rejects invalid ones itself, streams artifacts between clients and S3, and forwards everything else to the
 * server. It keeps no state between requests.
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

/** The route of orders. The gateway returns the server's responses unchanged. */
const forwardedOrderRoute = createRoute({
  ...orderRoute,
  responses: { 202: { description: "The job, as the server returns it." } },
});

/** Paths for which clients must send the API key. */
const KEYED_PATHS = ["/v1/*", "/sdapi/*", "/mcp", "/mcp/*", "/metrics"];

/** Headers in which a proxy describes the request of its client. */
const FORWARDING_HEADERS = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-prefix",
  "x-forwarded-proto",
];

/** Options of {@linkcode createGateway}. */
export interface GatewayOptions {
  /** The description of the server's models. */
  readonly catalogue: Catalogue;
  /** Address of the server. */
  readonly upstream: string;
  /** API key of the server. */
  readonly upstreamKey?: string | undefined;
  /** API key that clients must send. */
  readonly apiKey?: string | undefined;
  /** The store of the server, if it is in S3. Without it, artifacts pass through the server. */
  readonly store?: S3Store | undefined;
}

/**
 * Creates a gateway.
 *
 * @param options The server, the models behind it, the keys and the store.
 * @returns The handler of requests.
 */
export function createGateway(options: GatewayOptions): { fetch(request: Request): Promise<Response> } {
  const { catalogue, upstream, upstreamKey, apiKey, store } = options;
  const planning = planningContext(catalogue, store ?? upstreamStore(upstream, upstreamKey));
  const { limits } = planning;
  const app = router();

  // 1. Check the API key, and limit the body.
  if (apiKey !== undefined) {
    const links = new PictureLinks(upstreamKey);
    for (const path of KEYED_PATHS) app.use(path, requireKey(apiKey, links));
  }
  const onError = (): never => {
    throw new ApiError("too_large", `The body must have at most ${limits.maxBodyBytes} bytes`);
  };
  for (const path of [imageRoute.path, orderRoute.path]) {
    app.use(path, bodyLimit({ maxSize: limits.maxBodyBytes, onError }));
    app.use(path, boundJson(limits));
  }

  // 2. Handle or reject the requests that need only the catalogue and the store.
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

  // 3. Forward the rest to the server: jobs and their events, uploads, pictures, the studio.
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

  /** Forwards a request to the server and returns the response. Both are streamed. */
  async function forward({ req, env }: Context<ServerEnv>, body?: string): Promise<Response> {
    const { pathname, search } = new URL(req.url);
    const { client, protocol, host } = env.address;
    const headers = new Headers(req.raw.headers);
    // The server trusts these headers of the gateway, so those of a client must not reach it.
    for (const name of FORWARDING_HEADERS) headers.delete(name);
    headers.set("x-forwarded-proto", protocol);
    if (host !== undefined) headers.set("x-forwarded-host", host);
    if (client !== undefined) headers.set("x-forwarded-for", client);
    // Clients of the gateway can use the API of the server, but not its metrics.
    if (upstreamKey !== undefined && /^\/(v1|sdapi|mcp)(\/|$)/.test(pathname)) {
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

/** Returns a store that reads the server's artifacts, for plans only. */
function upstreamStore(upstream: string, token: string | undefined): RunStore {
  return combinedStore(new HttpStore(upstream, { token }), new MemoryStore());
}
