/**
 * A queue, a store and workers for tests.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { FolderStore } from "../../artifacts/store/folder_store.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { runGraph } from "../../graph/run.ts";
import type { RunOptions, RunResult } from "../../graph/run_options.ts";
import { QueueExecutor, type QueueExecutorOptions } from "../../queue/queue_executor.ts";
import { builtInStages } from "../../stages/mod.ts";
import { StageRegistry } from "../../stages/registry.ts";
import { RedisServer } from "./queue_servers.ts";
import walkStages from "./walk_plugin.ts";
import { WALK_PLUGIN, WorkerProcess, type WorkerProcessOptions } from "./worker_process.ts";

/** A queue, a shared store, and workers. */
export class Place implements AsyncDisposable {
  readonly server: { readonly address: string } & AsyncDisposable;
  readonly folder: string;
  readonly #workers: WorkerProcess[] = [];

  private constructor(server: Place["server"], folder: string) {
    this.server = server;
    this.folder = folder;
  }

  /** Opens a queue on Redis, or on another server. */
  static async open(server?: Place["server"]): Promise<Place> {
    const folder = await Deno.makeTempDir({ prefix: "pixstage-test-" });
    return new Place(server ?? await RedisServer.start(), folder);
  }

  get store(): string {
    return join(this.folder, "store");
  }

  /** Starts one worker for each text of stage names. */
  async workers(
    stages: readonly string[],
    options: Partial<WorkerProcessOptions> = {},
  ): Promise<WorkerProcess[]> {
    const { store } = this;
    const queue = this.server.address;
    const started = await WorkerProcess.start(
      ...stages.map((names) => ({ queue, store, stages: names, ...options })),
    );
    this.#workers.push(...started);
    return started;
  }

  /** Starts workers with the plugin's stages. */
  async walkers(count: number, env: Readonly<Record<string, string>> = {}): Promise<WorkerProcess[]> {
    const args = ["--plugin", WALK_PLUGIN];
    return await this.workers(Array.from({ length: count }, () => "walk,poison,fail"), {
      args,
      // The plugin kills its worker.
      env: { PIXSTAGE_PERMISSIONS: "--allow-run", ...env },
    });
  }

  /** Runs a graph on the queue or another executor. */
  async run(nodes: object, options: Partial<RunOptions> & QueueExecutorOptions = {}): Promise<RunResult> {
    const { patienceMs, ...rest } = options;
    const executor = new QueueExecutor(`queue:${this.server.address}`, { patienceMs });
    const registry = new StageRegistry([...builtInStages().list(), ...walkStages]);
    const store = new FolderStore(this.store);
    const run = { registry, store, executors: [executor] as const, snapshots: { everySteps: 1 }, ...rest };
    return await runGraph({ pixstage: 1, nodes }, run);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]()));
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Returns the error with which a run fails. */
export async function failure(running: Promise<unknown>): Promise<PixstageError> {
  const error = await running.then(() => undefined, (error) => error);
  assert.ok(error instanceof PixstageError, String(error));
  return error;
}
