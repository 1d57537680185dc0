import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./context.ts";

/**
 * Sets the `Content-Length` of a `HEAD` answer to that of the `GET` answer. The server drops the body later
 * and would otherwise report a length of 0.
 */
export function measureHead(): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    await next();
    const { res } = context;
    if (context.req.method !== "HEAD" || !res.body || res.headers.has("content-length")) return;
    if (res.headers.get("content-type")?.startsWith("text/event-stream")) return await res.body.cancel();
    context.header("content-length", String((await res.clone().arrayBuffer()).byteLength));
  };
}
