import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { setTimeout as delay } from "node:timers/promises";
import type { ServerContext, ServerEnv } from "./context.ts";
import { queueReply } from "./job_reply.ts";
import { isOver } from "./jobs/job.ts";

/** Minimum milliseconds between two queue events. Steps can be faster. */
const QUEUE_INTERVAL_MS = 200;

/** Streams the state of the queue: once at the start, and after each change. */
export function queueEvents(context: Context<ServerEnv>, server: ServerContext): Response {
  return eventStream(context, server, async (stream, gone) => {
    let last = "";
    for await (const _ of server.jobs.changes(gone)) {
      const data = JSON.stringify(queueReply(server));
      if (data === last) continue;
      await stream.writeSSE({ event: "queue", data });
      last = data;
      await delay(QUEUE_INTERVAL_MS);
    }
  });
}

/**
 * Answers with server-sent events. A periodic comment shows the client, the server and the proxies between
 * them that the connection is alive. A header keeps nginx from buffering events.
 *
 * @param context The request.
 * @param server The server's settings.
 * @param write Writes the events. Its signal is aborted when the client disconnects.
 */
export function eventStream(
  context: Context<ServerEnv>,
  { heartbeatMs }: Pick<ServerContext, "heartbeatMs">,
  write: (stream: SSEStreamingApi, gone: AbortSignal) => Promise<void>,
): Response {
  context.header("x-accel-buffering", "no");
  const response = streamSSE(context, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    const heartbeat = setInterval(() => stream.write(": alive\n\n"), heartbeatMs);
    try {
      await write(stream, gone.signal);
    } finally {
      clearInterval(heartbeat);
    }
  });
  // The listener decides whether the connection stays open: the client may want it closed, or speak HTTP/1.0.
  for (const name of ["connection", "transfer-encoding"]) response.headers.delete(name);
  return response;
}

/**
 * Streams the events of a job, from the one after `Last-Event-ID` to the last. If no further event can come,
 * answers 204, after which browsers do not reconnect.
 */
export async function jobEvents(
  context: Context<ServerEnv>,
  id: string,
  after: number,
  server: ServerContext,
): Promise<Response> {
  const { jobs } = server;
  const job = jobs.get(id);
  if (after > 0 && job && isOver(job.status)) {
    const { done } = await jobs.follow(id, after, new AbortController().signal).next();
    if (done) return context.body(null, 204);
  }
  return eventStream(context, server, async (stream, gone) => {
    for await (const { number, type, data } of jobs.follow(id, after, gone)) {
      await stream.writeSSE({ id: String(number), event: type, data });
    }
  });
}
