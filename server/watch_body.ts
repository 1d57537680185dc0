/**
 * Watches the bodies of requests, for two faults of connections:
 *
 * - A client may disconnect while it sends a body. Each listener reports this with its own error (`aborted`
 *   from `node:http`, `BadResource` and `Http` from `Deno.serve`), and none of these errors says that the
 *   client is the cause.
 * - The server may reply before it has read the body, e.g. with a refusal. If it then closed the connection
 *   while the client still sends, the system would reset the connection, and the client could lose the reply.
 *   The server therefore goes on reading and discards what it reads, like nginx's `lingering_close`.
 *
 * @module
 */

import type { MiddlewareHandler } from "hono";
import type { ServerEnv } from "./context.ts";
import { STREAMED_BODY } from "./streamed_body.ts";

/** Milliseconds that a client has to send the rest of a body after the reply. */
const REST_MS = 30_000;

/**
 * Sets the variable `isCutOff` of a request if its body cannot be read to the end, and reads what a reply has
 * left unread.
 */
export function watchBody(): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const { raw } = context.req;
    if (!raw.body) return await next();
    const body = new WatchedBody(raw.body, () => context.set("isCutOff", true));
    context.req.raw = new Request(raw, { body: body.stream, ...STREAMED_BODY });
    await next();
    if (!body.isOver) context.res = await keptOpen(context.res, () => body.discard());
  };
}

/** A body that can be read to the end after its reader has cancelled it. */
class WatchedBody {
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #onCutOff: () => void;

  /** The body for the handlers of the request. It does not read ahead. */
  readonly stream: ReadableStream<Uint8Array>;

  /** Whether the body has been read to the end or was cut off. */
  isOver = false;

  constructor(body: ReadableStream<Uint8Array>, onCutOff: () => void) {
    this.#reader = body.getReader();
    this.#onCutOff = onCutOff;
    this.stream = new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await this.#read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          controller.error(error);
        }
      },
    }, { highWaterMark: 0 });
  }

  /** Reads the rest of the body and discards it, for a limited time. */
  async discard(): Promise<void> {
    const timer = setTimeout(() => this.#reader.cancel().catch(() => {}), REST_MS);
    try {
      while (!this.isOver) await this.#read();
    } catch {
      // The client has disconnected. It does not read the reply.
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(): Promise<ReadableStreamReadResult<Uint8Array>> {
    try {
      const result = await this.#reader.read();
      this.isOver ||= result.done;
      return result;
    } catch (error) {
      this.isOver = true;
      this.#onCutOff();
      throw error;
    }
  }
}

/**
 * Sends a reply at once, but ends it only after a wait, so that the listener keeps the connection open. The
 * client knows from `Content-Length` that the reply is complete.
 */
async function keptOpen(reply: Response, wait: () => Promise<void>): Promise<Response> {
  if (!reply.body) {
    void wait();
    return reply;
  }
  const content = new Uint8Array(await reply.arrayBuffer());
  const headers = new Headers(reply.headers);
  headers.set("content-length", String(content.length));
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(content);
      await wait();
      controller.close();
    },
  });
  return new Response(body, { status: reply.status, headers });
}
