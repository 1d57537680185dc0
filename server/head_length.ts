import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./context.ts";

/**
 * Gives the answer to `HEAD` the length that the answer to `GET` has. The body itself is dropped later, and a
 * server would say that it has no bytes.
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
