/// <reference lib="dom" />
/**
 * The client of the server's API.
 *
 * @module
 */

import type { Capabilities, Job, JobImage, Lora, Order, Upload } from "./types.ts";

/**
 * The error of a request that the server refused or that did not reach it. The page is served file by file
 * and does without the error base class; `code` comes from the server's reply.
 */
export class ServerError extends Error {
  override name = "ServerError";
  /** The code of the reply; `unreachable` if there was none. */
  readonly code: string;
  /** The HTTP status; 0 if there was no reply. */
  readonly status: number;

  /**
   * @param message The server's message.
   * @param code The code of the reply.
   * @param status The HTTP status.
   */
  constructor(message: string, code: string, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }

  /** Whether a later attempt may succeed: the server is unreachable, busy or failing. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Returns the URL of a server path. All URLs are relative to the page's own. */
export function urlOf(path: string): string {
  return new URL(path, document.baseURI).href;
}

/** Returns the URL of a picture's file. */
export function pictureUrl(
  { artifact, image }: Pick<JobImage, "artifact" | "image">,
  query: Readonly<Record<string, string>> = {},
): string {
  const search = new URLSearchParams(query).toString();
  return urlOf(`v1/artifacts/${artifact}/images/${image}${search && `?${search}`}`);
}

/** Fetches the models, adapters and limits that the server offers. */
export async function capabilities(): Promise<Capabilities> {
  const [found, { data: loras }] = await Promise.all([
    ask<Omit<Capabilities, "loras">>("v1/capabilities"),
    ask<{ data: Lora[] }>("v1/loras"),
  ]);
  return { ...found, loras };
}

/** Uploads a picture file to the store. */
export async function uploadPicture(file: Blob): Promise<Upload> {
  return await ask("v1/pictures", {
    method: "POST",
    headers: { "content-type": file.type || "application/octet-stream" },
    body: file,
  });
}

/** Query of the list of jobs. */
export interface JobQuery {
  readonly status: Job["status"];
  readonly limit: number;
  /** The last job of the previous page. */
  readonly after?: string | undefined;
  /** Words that prompts, seeds or names must contain. */
  readonly q?: string | undefined;
  readonly starred?: boolean | undefined;
}

/** Lists jobs with a status, the newest first. */
export async function listJobs(query: JobQuery): Promise<{ data: Job[]; has_more: boolean }> {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return await ask(`v1/jobs?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`);
}

/** Adds or removes the star of a job. */
export async function starJob(id: string, starred: boolean): Promise<Job> {
  return await ask(`v1/jobs/${id}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ starred }),
  });
}

/** Fetches a job. */
export async function getJob(id: string): Promise<Job> {
  return await ask(`v1/jobs/${id}`);
}

/** Orders pictures. */
export async function orderJob(body: Order): Promise<Job> {
  return await ask("v1/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** Cancels a job. */
export async function cancelJob(id: string): Promise<Job> {
  return await ask(`v1/jobs/${id}/cancel`, { method: "POST" });
}

/** Removes a finished job. */
export async function removeJob(id: string): Promise<void> {
  await reply(`v1/jobs/${id}`, { method: "DELETE" });
}

/** Downloads the file of a picture. */
export async function pictureFile(image: JobImage): Promise<Uint8Array<ArrayBuffer>> {
  const { artifact, image: index } = image;
  return new Uint8Array(await (await reply(`v1/artifacts/${artifact}/images/${index}`)).arrayBuffer());
}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  return await (await reply(path, init)).json();
}

async function reply(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(urlOf(path), init);
  } catch {
    throw new ServerError("The server cannot be reached", "unreachable", 0);
  }
  if (response.ok) return response;
  // A proxy between page and server may answer in another format.
  const body = await response.json().catch(() => undefined);
  const { message = `The server replied with status ${response.status}`, code = "internal" } = body?.error ??
    {};
  throw new ServerError(message, code, response.status);
}
