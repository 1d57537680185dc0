/**
 * Workers in separate processes, as an operator starts them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { commandLine, taskLine } from "../cli/run_cli.ts";

/** The plugin with stages for tests of queues. */
export const WALK_PLUGIN: string = fileURLToPath(new URL("walk_plugin.ts", import.meta.url));

/** Options for starting a worker. */
export interface WorkerProcessOptions {
  readonly queue: string;
  readonly store: string;
  /** The stages, separated by commas as in `--stages`. */
  readonly stages: string;
  /** The models, in the form of `--models`. */
  readonly models?: string | undefined;
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Whether `deno task worker` starts it, rather than `deno run`. */
  readonly asTask?: boolean | undefined;
}

/** A line of a worker's log. */
export interface WorkerEvent {
  readonly event: string;
  readonly stage?: string | undefined;
  readonly job?: string | undefined;
  readonly error?: string | undefined;
}

/** A worker in a separate process. */
export class WorkerProcess implements AsyncDisposable {
  /** The worker's output to the standard error. */
  log = "";
  #process: Deno.ChildProcess;
  #reading: Promise<void>;
  #started = Promise.withResolvers<void>();
  #isOver = false;

  constructor({ queue, store, stages, models, args = [], env = {}, asTask = false }: WorkerProcessOptions) {
    const line = asTask ? taskLine : commandLine;
    const [program, ...rest] = line(
      "worker",
      ...["--queue", queue, "--store", store, "--stages", stages, "--threads", "1", "--lease", "1"],
      ...(models === undefined ? ["--models", "pixstage-emoji"] : ["--models", models]),
      ...args,
    );
    this.#process = new Deno.Command(program, {
      args: rest,
      env: { ...env },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#started.promise.catch(() => {});
    this.#reading = this.#read();
  }

  /** Starts workers, and waits until they are ready. */
  static async start(...options: readonly WorkerProcessOptions[]): Promise<WorkerProcess[]> {
    const workers = options.map((option) => new WorkerProcess(option));
    await Promise.all(workers.map((worker) => worker.works()));
    return workers;
  }

  /** Waits until the worker is ready. */
  async works(): Promise<this> {
    await this.#started.promise;
    return this;
  }

  /** The worker's log. */
  get events(): WorkerEvent[] {
    const lines = this.log.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Whether the worker has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Returns the jobs that the worker has finished. */
  done(stage?: string): WorkerEvent[] {
    return this.events.filter((line) =>
      line.event === "done" && (stage === undefined || line.stage === stage)
    );
  }

  /** Waits until the worker logs an event. */
  async logs(event: string): Promise<WorkerEvent> {
    for (let tries = 0; tries < 400; tries++) {
      const found = this.events.find((line) => line.event === event);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`The worker has not logged "${event}": ${this.log}`);
  }

  /** Waits until the worker ends. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await this.#process.status;
    await this.#reading;
    this.#isOver = true;
    return status;
  }

  /** Ends it. */
  async end(signal: Deno.Signal): Promise<void> {
    if (!this.#isOver) this.#process.kill(signal);
    await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) await this.end("SIGTERM").catch(() => {});
  }

  async #read(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.log += text;
      if (this.log.includes("pixstage runs")) this.#started.resolve();
    }
    this.#isOver = true;
    this.#started.reject(new Error(`The worker ended: ${this.log}`));
  }
}
