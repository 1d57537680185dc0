/**
 * The server's Hono application: middleware, routes and error handling.
 *
 * @module
 */

import type { OpenAPIHono } from "@hono/zod-openapi";
import type { HonoRequest } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { routePath } from "hono/route";
import { secureHeaders } from "hono/secure-headers";
import { getPath } from "hono/utils/url";
import { FileError } from "../disk/file_error.ts";
import { requireAllowedHost, requireKey, requireOwnOrigin, shareSignedPictures } from "./access.ts";
import { ApiError } from "./api_error.ts";
import type { ServerContext, ServerEnv } from "./context.ts";
import { boundJson } from "./json_bounds.ts";
import type { Log } from "./log.ts";
import { measureHead } from "./head_length.ts";
import type { Metrics } from "./metrics.ts";
import { pathBelow } from "./public_address.ts";
import { router } from "./router.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { documentRoutes } from "./routes/document.ts";
import { editRoutes, EDITS_PATH } from "./routes/edits.ts";
import { imageRoutes } from "./routes/images.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { loadedModelRoutes } from "./routes/loaded_models.ts";
import { loraRoutes } from "./routes/loras.ts";
import { MCP_PATH, mcpRoutes } from "./routes/mcp.ts";
import { modelRoutes } from "./routes/models.ts";
import { operationRoutes } from "./routes/operation.ts";
import { IMG2IMG_PATH, sdapiRoutes } from "./routes/sdapi.ts";
import { PNG_INFO_PATH, sdapiStateRoutes } from "./routes/sdapi_state.ts";
import { stageRoutes } from "./routes/stages.ts";
import { uploadRoutes, UPLOADS_PATH } from "./routes/uploads.ts";
import { CurrentModel } from "./sdapi/current_model.ts";
import { Generations } from "./sdapi/generations.ts";
import { traceRequest } from "./spans.ts";
import { importMapHash, studioRoutes } from "./studio/routes.ts";
import { watchBody } from "./watch_body.ts";

/** Paths whose requests carry picture files. */
const UPLOAD_PATHS: readonly string[] = [EDITS_PATH, UPLOADS_PATH, IMG2IMG_PATH, PNG_INFO_PATH];

/** Path prefix of the AUTOMATIC1111-compatible routes. */
const SDAPI = "/sdapi/";

/** Headers of replies that pages of other origins may read. */
const EXPOSED = ["content-range", "etag", "location", "mcp-session-id", "retry-after", "x-request-id"];

/**
 * The status that the log and the metrics record if the client left before the answer. nginx uses the same
 * code.
 */
const CLIENT_GONE = 499;

/** Options of {@linkcode createApp}. */
export interface AppOptions {
  /** State that the routes share. */
  readonly context: ServerContext;
  /** The key that requests must carry. */
  readonly apiKey?: string | undefined;
  /** Names that the server answers to, in addition to this machine's. */
  readonly allowedHosts: readonly string[];
  /** The path that the server is mounted at, without a trailing slash. */
  readonly basePath: string;
  /** Origins of pages that may call the server. */
  readonly corsOrigins: readonly string[];
  /** Records metrics. */
  readonly metrics: Metrics;
  /** Receives one log entry per event. */
  readonly log: Log;
}

/**
 * Mounts the API routes. The function is separate because clients derive their types from its return type.
 */
export function apiRoutes(context: ServerContext) {
  return router()
    .route("/", imageRoutes(context))
    .route("/", editRoutes(context))
    .route("/", uploadRoutes(context))
    .route("/", loadedModelRoutes(context))
    .route("/", modelRoutes(context))
    .route("/", loraRoutes(context))
    .route("/", jobRoutes(context))
    .route("/", stageRoutes(context))
    .route("/", artifactRoutes(context));
}

/** Creates the application. */
export function createApp(options: AppOptions): OpenAPIHono<ServerEnv> {
  const { context, apiKey, allowedHosts, basePath, corsOrigins, metrics, log } = options;
  const { maxBodyBytes, maxArtifactBytes, maxUploadBytes } = context.limits;
  const app = router({ getPath: (request) => pathBelow(getPath(request), basePath) });

  // 1. Give every request an id, count it, log it and watch its body.
  app.use(requestId({ limitLength: 64 }));
  app.use((c, next) =>
    traceRequest(c.req.raw, async () => {
      const started = performance.now();
      await next();
      const ms = performance.now() - started;
      const { method, path } = c.req;
      const [id, route, { status }] = [c.get("requestId"), routePath(c, -1), c.res];
      metrics.request(method, route, status, ms / 1000);
      const { client } = c.env.address;
      log("request", { id, method, path, client, status, ms: Math.round(ms * 10) / 10 });
      return { route, id, status };
    })
  );
  app.use(watchBody());

  // 2. Check access and size limits.
  // A browser shows a picture in a page of another origin only if the reply permits it.
  if (corsOrigins.length > 0) app.use(shareSignedPictures(context.links));
  app.use(secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'self'"],
      scriptSrc: ["'self'", importMapHash],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", "data:", "blob:"],
      objectSrc: ["'none'"],
      baseUri: ["'none'"],
      frameAncestors: ["'none'"],
      formAction: ["'self'"],
    },
    strictTransportSecurity: false,
  }));
  app.use(requireAllowedHost(allowedHosts));
  if (corsOrigins.length > 0) app.use(cors({ origin: [...corsOrigins], exposeHeaders: EXPOSED }));
  app.use(requireOwnOrigin(corsOrigins, allowedHosts));
  if (apiKey !== undefined) {
    app.use("/v1/*", requireKey(apiKey, context.links));
    app.use("/metrics", requireKey(apiKey, context.links));
    app.use(`${SDAPI}*`, requireKey(apiKey, context.links));
    app.use(MCP_PATH, requireKey(apiKey, context.links));
  }
  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed(c, methods) {
      const headers = { allow: [...methods, "OPTIONS"].join(", ") };
      if (c.req.method === "OPTIONS") return c.body(null, 204, headers);
      const message = `The method ${c.req.method.slice(0, 20)} is not allowed for ${
        c.req.path.slice(0, 200)
      }: use ${headers.allow}`;
      return c.json(new ApiError("method_not_allowed", message).toJSON(), 405, headers);
    },
  }));
  app.use(measureHead());
  const tooLarge = (maxSize: number) =>
    bodyLimit({
      maxSize,
      onError: () => {
        throw new ApiError("too_large", `The body must have at most ${maxSize} bytes`);
      },
    });
  const [small, large] = [tooLarge(maxBodyBytes), tooLarge(maxArtifactBytes)];
  const uploads = tooLarge(maxUploadBytes);
  const bounded = boundJson(context.limits);
  const isArtifact = ({ path }: HonoRequest): boolean => path.startsWith("/v1/artifacts/");
  const hasKnownLength = (request: HonoRequest): boolean =>
    request.header("content-length") !== undefined && request.header("transfer-encoding") === undefined;
  const isUpload = ({ path }: HonoRequest): boolean => UPLOAD_PATHS.includes(path);
  app.use((c, next) => {
    // `bodyLimit` collects a body of unknown length in memory. An artifact's bytes are counted on their way to
    // its file.
    if (isArtifact(c.req)) return hasKnownLength(c.req) ? large(c, next) : next();
    return (isUpload(c.req) ? uploads : small)(c, next);
  });
  // An artifact is not JSON, whatever its Content-Type says, and its body can be read only once.
  app.use((c, next) => isArtifact(c.req) ? next() : bounded(c, next));

  // 3. Mount the routes.
  app.route("/", operationRoutes(metrics));
  app.route("/", apiRoutes(context));
  const [current, generations] = [new CurrentModel(context.models), new Generations(context.jobs)];
  app.route("/", sdapiRoutes(context, current, generations));
  app.route("/", mcpRoutes(context));
  app.route("/", sdapiStateRoutes(context, current, generations));
  if (basePath !== "") app.get(basePath, (c) => c.redirect(`${basePath}/`, 308));
  app.route("/", documentRoutes(app));
  app.route("/", studioRoutes());

  // 4. Report every error in one shape, without a stack trace.
  app.notFound((c) => {
    const error = new ApiError(
      "not_found",
      `There is no route ${c.req.method} ${c.req.path.slice(0, 200)}`,
    );
    return c.json(error.toJSON(), 404);
  });
  app.onError((error, c) => {
    // A client that disconnects aborts its own request. That is no fault, and no client reads the answer.
    if (c.req.raw.signal.aborted || c.get("isCutOff")) return new Response(null, { status: CLIENT_GONE });
    const reply = toApiError(error);
    // A full disk is not a bug, and the log already reports it.
    if (reply.status >= 500 && reply.status !== 507) {
      const { name, message, stack } = error;
      log("fault", { id: c.get("requestId"), code: reply.code, error: name, message, stack });
    }
    // Clients of the web UI display `detail`, the field that FastAPI uses.
    const detail = c.req.path.startsWith(SDAPI) ? { detail: reply.message } : {};
    return c.json({ ...reply.toJSON(), ...detail }, reply.status, reply.headers);
  });
  return app;
}

function toApiError(error: Error): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof FileError && !error.isFull) {
    const message = "The server's store cannot be used: find the reason in its log under the request's id";
    return new ApiError("store_unavailable", message);
  }
  if (error instanceof HTTPException && error.status === 415) {
    return new ApiError(
      "unsupported_media_type",
      "Send JSON, with the header Content-Type: application/json",
    );
  }
  if (error instanceof HTTPException && error.status < 500) return new ApiError("bad_request", error.message);
  return ApiError.from(error);
}
