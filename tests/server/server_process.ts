/**
 * Servers in processes of their own, as an operator starts them.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { goldenPath } from "../goldens.ts";
import { sseEvents } from "./serving.ts";

/** The checkout. */
export const ROOT: string = dirname(fileURLToPath(new URL("..", import.meta.url)));

/** The tiny model as `--model` names it. */
export const TINY: string = `tiny=${goldenPath("checkpoints/tiny-alpha-512")}`;

/** What is started, and with what. */
export interface ServerProcessOptions {
  /** The store's folder; the caller removes it. */
  readonly store: string;
  /** Models to serve. Default is the tiny one, as `tiny`. */
  readonly models?: readonly string[] | undefined;
  /** More options of `serve`. */
  readonly args?: readonly string[] | undefined;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The port; one that is free unless given. */
  readonly port?: number | undefined;
  /** Whether `deno task serve` starts it, rather than `deno run`. */
  readonly asTask?: boolean | undefined;
  /** Further options of `serve`. */
  readonly options?: readonly string[] | undefined;
  /** The largest file that the system lets it write, in bytes. */
  readonly maxFileBytes?: number | undefined;
}

/** A job, as far as tests look at it. */
export interface JobSeen {
  readonly id: string;
  readonly status: string;
  readonly artifacts: Readonly<Record<string, { readonly id: string }>>;
}

/** A server in a process of its own. */
export class ServerProcess implements AsyncDisposable {
  /** Its address, once it listens. */
  url = "";
  /** What it has written to standard error. */
  log = "";
  #process: Deno.ChildProcess;
  #reading: Promise<void>;
  #listens = Promise.withResolvers<void>();
  #isOver = false;

  /** Starts it. */
  constructor(
    {
      store,
      models = [TINY],
      args = [],
      env = {},
      port = 0,
      asTask = false,
      options: more = [],
      maxFileBytes,
    }: ServerProcessOptions,
  ) {
    const options = ["--port", String(port), "--store", store, "--threads", "1", ...args, ...more];
    const limit = maxFileBytes === undefined
      ? []
      : ["-c", `trap "" XFSZ; ulimit -f ${Math.floor(maxFileBytes / 512)}; exec "$@"`, "sh", Deno.execPath()];
    this.#process = new Deno.Command(maxFileBytes === undefined ? Deno.execPath() : "sh", {
      args: [
        ...limit,
        ...(asTask ? ["task", "--quiet", "serve"] : ["run", "-A", "--no-check", "server.ts"]),
        ...options,
        ...models.flatMap((model) => ["--model", model]),
      ],
      cwd: ROOT,
      env: { ...env },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#listens.promise.catch(() => {});
    this.#reading = this.#read(this.#process.stderr);
  }

  /** The id of the process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Waits until it listens. */
  async listens(): Promise<this> {
    await this.#listens.promise;
    return this;
  }

  /** Ends it, and waits for its end. */
  async end(signal: Deno.Signal): Promise<void> {
    if (!this.#isOver) this.#process.kill(signal);
    this.#isOver = true;
    await this.#process.status;
    await this.#reading;
  }

  /** Ends it as an operator does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.end("SIGTERM");
  }

  /** Orders a job. */
  async order(body: unknown): Promise<JobSeen> {
    const headers = { "content-type": "application/json" };
    const reply = await fetch(`${this.url}/v1/jobs`, { method: "POST", headers, body: JSON.stringify(body) });
    const job = await reply.json();
    if (reply.status !== 202) throw new Error(JSON.stringify(job));
    return job;
  }

  /** Looks at a job. */
  async job(id: string): Promise<JobSeen> {
    return await (await fetch(`${this.url}/v1/jobs/${id}`)).json();
  }

  /** Waits for the end of a job. */
  async ended(id: string): Promise<JobSeen> {
    for await (const { event } of sseEvents(await fetch(`${this.url}/v1/jobs/${id}/events`))) void event;
    return await this.job(id);
  }

  /** Reads all that it writes, or it would wait for that. */
  async #read(stderr: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stderr.pipeThrough(new TextDecoderStream())) {
      this.log += text;
      this.url ||= /listens at (http:\S+)/.exec(this.log)?.[1] ?? "";
      if (this.url) this.#listens.resolve();
    }
    this.#isOver = true;
    this.#listens.reject(new Error(`The server ended: ${this.log}`));
  }
}
