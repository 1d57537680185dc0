import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { setTimeout as delay } from "node:timers/promises";
import type { ServerContext, ServerEnv } from "./context.ts";
import { queueReply } from "./job_reply.ts";
import { isOver } from "./jobs/job.ts";

/** Milliseconds between two events of the queue. Steps may be faster. */
const QUEUE_INTERVAL_MS = 200;

/** Answers with the state of the queue, at once and after each change. */
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
 * Answers with server-sent events. A comment now and then tells both sides, and the proxies between them,
 * that the other is there; a header keeps nginx from holding events back.
 *
 * @param context The request.
 * @param server What the server has.
 * @param write Writes the events. The signal is aborted when the client goes.
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
  // How the connection goes on is for the listener to say: the client may want it closed, or speak HTTP/1.0.
  for (const name of ["connection", "transfer-encoding"]) response.headers.delete(name);
  return response;
}

/**
 * Answers with the events of a job: those after `Last-Event-ID` first, then what comes, to the last. Where
 * none can come any more the answer is 204, after which browsers do not ask again.
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
