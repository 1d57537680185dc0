import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./context.ts";

/**
 * Gives the answer to `HEAD` the length that the answer to `GET` has. The body itself is dropped later, and a server would
 * say that it has no bytes.
 */
export function measureHead(): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    await next();
    const { res } = context;
    if (context.req.method !== "HEAD" || !res.body || res.headers.has("content-length")) return;
    if (isStream(res)) return await res.body.cancel();
    context.header("content-length", String((await res.clone().arrayBuffer()).byteLength));
  };
}

/** The answer to `HEAD` for a stream: the server would give it a length of 0 unless it had a body that it may drop. */
export function streamHead(response: Response): Response {
  if (!isStream(response) || response.body) return response;
  return new Response(ReadableStream.from([]), response);
}

function isStream({ headers }: Response): boolean {
  return headers.get("content-type")?.startsWith("text/event-stream") === true;
}
