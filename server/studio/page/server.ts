/// <reference lib="dom" />
/**
 * Talks to the server.
 *
 * @module
 */

import type { Capabilities, Job, Order, RunEvent } from "./types.ts";

/**
 * The server refused, or could not be reached. The page is served file by file, so that it has no base of
 * errors: `code` is that of the server's reply.
 */
export class ServerError extends Error {
  override name = "ServerError";
  /** The code of the reply; `unreachable` where there was none. */
  readonly code: string;

  /**
   * @param message What the server said.
   * @param code The code of the reply.
   */
  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/** What there is to choose from. */
export async function capabilities(): Promise<Capabilities> {
  return await ask("v1/capabilities");
}

/** Jobs that have ended well, the newest first. */
export async function finishedJobs(after?: string): Promise<{ data: Job[]; has_more: boolean }> {
  const query = new URLSearchParams({ limit: "24", status: "completed", ...(after ? { after } : {}) });
  const page = await ask<{ data: Job[]; has_more: boolean }>(`v1/jobs?${query}`);
  return { ...page, data: page.data.map(belowPage) };
}

/** A job. */
export async function getJob(id: string): Promise<Job> {
  return belowPage(await ask(`v1/jobs/${id}`));
}

/** Orders pictures. */
export async function orderJob(body: Order): Promise<Job> {
  const headers = { "content-type": "application/json" };
  return belowPage(await ask("v1/jobs", { method: "POST", headers, body: JSON.stringify(body) }));
}

/** Cancels a job. */
export async function cancelJob(id: string): Promise<Job> {
  return belowPage(await ask(`v1/jobs/${id}/cancel`, { method: "POST" }));
}

/**
 * A job whose pictures lie below the page. A proxy may serve the page under a path that the server does not
 * know.
 */
function belowPage(job: Job): Job {
  const images = job.images.map((image) => ({
    ...image,
    url: `v1/artifacts/${image.artifact}/images/${image.image}`,
  }));
  return { ...job, images };
}

const EVENT_TYPES: readonly RunEvent["type"][] = [
  "stage:start",
  "stage:load",
  "stage:cached",
  "stage:resumed",
  "step",
  "preview",
  "checkpoint",
  "stage:end",
  "artifact",
  "warning",
  "done",
  "failed",
  "cancelled",
];

/** Follows a job to its end; a connection that breaks is made again, and goes on where it broke. */
export function followJob(id: string, onEvent: (event: RunEvent) => void): () => void {
  const source = new EventSource(`v1/jobs/${id}/events`);
  for (const type of EVENT_TYPES) {
    source.addEventListener(type, ({ data }: MessageEvent<string>) => {
      const event: RunEvent = JSON.parse(data);
      if (event.type === "done" || event.type === "failed" || event.type === "cancelled") source.close();
      onEvent(event);
    });
  }
  return () => source.close();
}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  let reply: Response;
  try {
    reply = await fetch(path, init);
  } catch {
    throw new ServerError("The server cannot be reached", "unreachable");
  }
  const body = await reply.json();
  if (reply.ok) return body;
  const { message = `The server answered ${reply.status}`, code = "internal" } = body?.error ?? {};
  throw new ServerError(message, code);
}
