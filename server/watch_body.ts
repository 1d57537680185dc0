/**
 * Notes that a client left while it sent a body. Each listener tells of it by an error of its own (`aborted` of
 * `node:http`, `BadResource` and `Http` of `Deno.serve`), which says nothing of who is at fault.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./context.ts";
import { STREAMED_BODY } from "./streamed_body.ts";

/** Sets the variable `isCutOff` of a request once its body cannot be read to its end. */
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

/** The same bytes; reads nothing ahead. */
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
