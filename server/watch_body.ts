/**
 * Detects clients that disconnect while they send a body. Each listener reports this with its own error
 * (`aborted` from `node:http`, `BadResource` and `Http` from `Deno.serve`). None of these errors says that
 * the client is the cause.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./context.ts";
import { STREAMED_BODY } from "./streamed_body.ts";

/** Sets the variable `isCutOff` of a request if its body cannot be read to the end. */
export function watchBody(): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const { raw } = context.req;
    if (raw.body) {
      const body = watched(raw.body, () => context.set("isCutOff", true));
      context.req.raw = new Request(raw, { body, ...STREAMED_BODY });
    }
    await next();
  };
}

/** Passes the bytes on without reading ahead. */
function watched(body: ReadableStream<Uint8Array>, onCutOff: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        onCutOff();
        controller.error(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
