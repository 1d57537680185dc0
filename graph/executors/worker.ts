// This module is browser compatible.

import type { JsonObject } from "../../artifacts/artifact.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type { ExecuteOptions, Executor, StageRequest, StageResponse } from "./executor.ts";
import { type ArtifactCarrier, type HostLink, runInHost } from "./host_client.ts";
import type { HostRequest } from "./protocol.ts";
import type { HostEnd } from "./stage_process_error.ts";

/** What a worker executor needs. */
export interface WorkerExecutorOptions {
  /** Starts a worker whose module calls `hostStages`. */
  readonly createWorker: () => Worker;
  /** Modules that bring stages of their own, which the worker loads too. */
  readonly plugins?: readonly string[] | undefined;
  /** Where the worker finds checkpoints. */
  readonly models?: JsonObject | undefined;
  /** What graphs run on in the worker. */
  readonly runtime?: JsonObject | undefined;
  /**
   * Milliseconds that a stage has to end by itself once it is cancelled.
   *
   * @default {200}
   */
  readonly graceMs?: number | undefined;
}

/**
 * Runs each stage in a worker of its own, which ends with it. Artifacts go by id through a store in a folder; with any
 * other store inputs are copied and outputs transferred.
 */
export class WorkerExecutor implements Executor {
  readonly name = "worker";
  #options: WorkerExecutorOptions;

  /** @param options What it needs. */
  constructor(options: WorkerExecutorOptions) {
    this.#options = options;
  }

  /** Runs one node in a worker. */
  async execute(request: StageRequest, options: ExecuteOptions): Promise<StageResponse> {
    const { createWorker, plugins = [], models = {}, runtime = {}, graceMs = 200 } = this.#options;
    const { folder } = options.store;
    options.signal.throwIfAborted();
    return await runInHost(request, {
      ...options,
      link: new WorkerLink(createWorker()),
      settings: {
        plugins: [...plugins],
        models,
        runtime,
        ...(folder === undefined ? {} : { store: folder }),
      },
      carrier: folder === undefined ? copyingCarrier : sharedStoreCarrier(options.store),
      graceMs,
    });
  }
}

/** Artifacts travel in the messages. */
const copyingCarrier: ArtifactCarrier = {
  send: ({ id, artifact }) => Promise.resolve({ id, artifact }),
  receive: ({ artifact }) => Promise.resolve({ artifact: artifact! }),
};

/**
 * Artifacts travel through a store that both sides open; in the messages where the store cannot take them.
 */
function sharedStoreCarrier(store: RunStore): ArtifactCarrier {
  return {
    async send({ id, artifact }) {
      const isKept = await store.has(id) || await store.put(artifact).then(() => true, () => false);
      return isKept ? { id } : { id, artifact };
    },
    receive: ({ id, artifact }) => Promise.resolve(artifact ? { artifact } : { id: id! }),
  };
}

/** A worker as a stage host. */
class WorkerLink implements HostLink {
  readonly ended: Promise<HostEnd>;
  onMessage: (message: unknown) => void = () => {};
  #worker: Worker;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.onMessage(data);
    this.ended = new Promise((resolve) => {
      worker.onerror = (event) => {
        event.preventDefault();
        resolve({ reason: event.message });
      };
    });
  }

  send(message: HostRequest): void {
    this.#worker.postMessage(message);
  }

  close(): Promise<void> {
    return this.kill();
  }

  kill(): Promise<void> {
    this.#worker.terminate();
    return Promise.resolve();
  }
}
