import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { setTimeout as delay } from "node:timers/promises";
import type { ServerContext } from "./context.ts";
import { queueReply } from "./job_reply.ts";

/** Milliseconds between two events of the queue. Steps may be faster. */
const QUEUE_INTERVAL_MS = 200;

/** Answers with the events of a job: those after `Last-Event-ID` first, then what comes, to the last. */
export function jobEvents(context: Context, id: string, after: number, server: ServerContext): Response {
  return eventStream(context, server, async (stream, signal) => {
    for await (const { number, type, data } of server.jobs.follow(id, after, signal)) {
      await stream.writeSSE({ id: String(number), event: type, data });
    }
  });
}

/** Answers with the state of the queue, at once and after each change. */
export function queueEvents(context: Context, server: ServerContext): Response {
  return eventStream(context, server, async (stream, signal) => {
    let last = "";
    for await (const _ of server.jobs.changes(signal)) {
      const data = JSON.stringify(queueReply(server));
      if (data === last) continue;
      await stream.writeSSE({ event: "queue", data });
      last = data;
      await delay(QUEUE_INTERVAL_MS);
    }
  });
}

/** Answers with server-sent events. A comment now and then tells both sides that the other is there. */
function eventStream(
  context: Context,
  { heartbeatMs }: Pick<ServerContext, "heartbeatMs">,
  write: (stream: SSEStreamingApi, signal: AbortSignal) => Promise<void>,
): Response {
  context.header("x-accel-buffering", "no");
  return streamSSE(context, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    const heartbeat = setInterval(() => stream.write(": alive\n\n"), heartbeatMs);
    try {
      await write(stream, gone.signal);
    } finally {
      clearInterval(heartbeat);
    }
  });
}
