// This module is browser compatible.

import type { RunStore } from "../../artifacts/store/store.ts";
import type { WorkerListener, WorkerThread } from "../../system/worker_thread.ts";
import type { ArtifactCarrier, HostLink } from "../hosts/host_connection.ts";
import type { HostEnd } from "../hosts/host_error.ts";
import { HostedExecutor, type HostedExecutorOptions, sharedStoreCarrier } from "../hosts/hosted_executor.ts";
import type { HostRequest } from "../hosts/protocol.ts";

/** Options of {@linkcode WorkerExecutor}. */
export interface WorkerExecutorOptions extends HostedExecutorOptions {
  /** Starts a worker whose module calls `hostStages`. */
  readonly createWorker: (listener: WorkerListener) => WorkerThread;
}

/**
 * Runs each stage in its own worker, which ends with the stage. Artifacts travel by id through the run's
 * store if it is in a folder. Otherwise inputs are copied and outputs are transferred.
 */
export class WorkerExecutor extends HostedExecutor {
  readonly name = "worker";
  #createWorker: WorkerExecutorOptions["createWorker"];

  /** @param options Settings of the executor. */
  constructor({ createWorker, ...options }: WorkerExecutorOptions) {
    super({ graceMs: 200, ...options });
    this.#createWorker = createWorker;
  }

  protected start(): HostLink {
    return new WorkerLink(this.#createWorker);
  }

  protected carrier(store: RunStore): Promise<ArtifactCarrier & AsyncDisposable> {
    const carrier = store.folder === undefined ? copyingCarrier : sharedStoreCarrier(store);
    return Promise.resolve({ ...carrier, [Symbol.asyncDispose]: () => Promise.resolve() });
  }
}

/** Sends artifacts in the messages. */
const copyingCarrier: ArtifactCarrier = {
  send: ({ id, artifact }) => Promise.resolve({ id, artifact }),
  receive: ({ artifact }) => Promise.resolve({ artifact: artifact! }),
};

/** A worker as a host. */
class WorkerLink implements HostLink {
  readonly ended: Promise<HostEnd>;
  onMessage: (message: unknown) => void = () => {};
  #worker: WorkerThread;

  constructor(createWorker: WorkerExecutorOptions["createWorker"]) {
    const { promise, resolve } = Promise.withResolvers<HostEnd>();
    this.ended = promise;
    this.#worker = createWorker({
      onMessage: (message) => this.onMessage(message),
      onError: (reason) => resolve({ reason }),
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
