/**
 * Workers in processes of their own, as an operator starts them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { commandLine, taskLine } from "../cli/run_cli.ts";

/** The stages that tests of queues bring. */
export const WALK_PLUGIN: string = fileURLToPath(new URL("walk_plugin.ts", import.meta.url));

/** How a worker is started. */
export interface WorkerProcessOptions {
  readonly queue: string;
  readonly store: string;
  /** Comma-separated, as `--stages` takes them. */
  readonly stages: string;
  /** As `--models` takes them. */
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

/** A worker in a process of its own. */
export class WorkerProcess implements AsyncDisposable {
  /** What it has written to standard error. */
  log = "";
  #process: Deno.ChildProcess;
  #reading: Promise<void>;
  #works = Promise.withResolvers<void>();
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
    this.#works.promise.catch(() => {});
    this.#reading = this.#read();
  }

  /** Starts some, and waits until they work. */
  static async start(...options: readonly WorkerProcessOptions[]): Promise<WorkerProcess[]> {
    const workers = options.map((option) => new WorkerProcess(option));
    await Promise.all(workers.map((worker) => worker.works()));
    return workers;
  }

  /** Waits until it works. */
  async works(): Promise<this> {
    await this.#works.promise;
    return this;
  }

  /** What it has logged. */
  get events(): WorkerEvent[] {
    const lines = this.log.split("\n").slice(0, -1);
    return lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The jobs that it has done. */
  done(stage?: string): WorkerEvent[] {
    return this.events.filter((line) =>
      line.event === "done" && (stage === undefined || line.stage === stage)
    );
  }

  /** Waits until its log has an event. */
  async logs(event: string): Promise<WorkerEvent> {
    for (let tries = 0; tries < 400; tries++) {
      const found = this.events.find((line) => line.event === event);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`The worker has not logged "${event}": ${this.log}`);
  }

  /** Waits for its end. */
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
      if (this.log.includes("pixstage works at")) this.#works.resolve();
    }
    this.#isOver = true;
    this.#works.reject(new Error(`The worker ended: ${this.log}`));
  }
}
