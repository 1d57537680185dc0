import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { ServerContext } from "./context.ts";

/**
 * Answers with the events of a job: those after `Last-Event-ID` first, then what comes, to the last. A comment now and
 * then tells both sides that the other is there.
 */
export function jobEvents(context: Context, id: string, after: number, server: ServerContext): Response {
  context.header("x-accel-buffering", "no");
  return streamSSE(context, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    const heartbeat = setInterval(() => stream.write(": alive\n\n"), server.heartbeatMs);
    try {
      for await (const { number, type, data } of server.jobs.follow(id, after, gone.signal)) {
        await stream.writeSSE({ id: String(number), event: type, data });
      }
    } finally {
      clearInterval(heartbeat);
    }
  });
}
