/**
 * Servers in separate processes, as an operator starts them.
 *
 * @module
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { goldenPath } from "../goldens.ts";
import { sseEvents } from "./serving.ts";

/** The checkout. */
export const ROOT: string = dirname(fileURLToPath(new URL("..", import.meta.url)));

/** The tiny model in the form of `--model`. */
export const TINY: string = `tiny=${goldenPath("checkpoints/tiny-alpha-512")}`;

/** Options for starting a server. */
export interface ServerProcessOptions {
  /** The store's folder, which the caller removes. */
  readonly store: string;
  /** Models to serve. The default is the tiny model, as `tiny`. */
  readonly models?: readonly string[] | undefined;
  /** More options of `serve`. */
  readonly args?: readonly string[] | undefined;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The port. The default is a free one. */
  readonly port?: number | undefined;
  /** Whether to start the server with `deno task serve` instead of `deno run`. */
  readonly asTask?: boolean | undefined;
  /** Further options of `serve`. */
  readonly options?: readonly string[] | undefined;
  /** The system's limit for files that the server writes, in bytes. */
  readonly maxFileBytes?: number | undefined;
}

/** The fields of a job that tests use. */
export interface JobSeen {
  readonly id: string;
  readonly status: string;
  readonly artifacts: Readonly<Record<string, { readonly id: string }>>;
}

/** A server in a separate process. */
export class ServerProcess implements AsyncDisposable {
  /** The server's address, after it listens. */
  url = "";
  /** The server's output to the standard error. */
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

  /** Waits until the server listens. */
  async listens(): Promise<this> {
    await this.#listens.promise;
    return this;
  }

  /** Ends the server with a signal, and waits for its end. */
  async end(signal: Deno.Signal): Promise<void> {
    if (!this.#isOver) this.#process.kill(signal);
    this.#isOver = true;
    await this.#process.status;
    await this.#reading;
  }

  /** Stops the server like an operator. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.end("SIGTERM");
  }

  /** Creates a job. */
  async order(body: unknown): Promise<JobSeen> {
    const headers = { "content-type": "application/json" };
    const reply = await fetch(`${this.url}/v1/jobs`, { method: "POST", headers, body: JSON.stringify(body) });
    const job = await reply.json();
    if (reply.status !== 202) throw new Error(JSON.stringify(job));
    return job;
  }

  /** Gets a job. */
  async job(id: string): Promise<JobSeen> {
    return await (await fetch(`${this.url}/v1/jobs/${id}`)).json();
  }

  /** Waits for the end of a job. */
  async ended(id: string): Promise<JobSeen> {
    for await (const { event } of sseEvents(await fetch(`${this.url}/v1/jobs/${id}/events`))) void event;
    return await this.job(id);
  }

  /** Reads all output, because a full pipe would block the server. */
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
