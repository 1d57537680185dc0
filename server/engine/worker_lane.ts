import type { RunEvent } from "../../graph/events.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { deserializeError } from "../../errors/serialized_error.ts";
import type { FromWorker, ToWorker, WorkerResults, WorkerSetup, WorkerTask } from "./messages.ts";

/** What goes with a task. */
export interface TaskOptions {
  /** Takes the events of a run. */
  readonly onEvent?: (event: RunEvent) => void;
  /** Stops a run. */
  readonly signal?: AbortSignal;
}

/** A task that a worker is at. */
interface OpenTask {
  readonly resolve: (result: WorkerResults[keyof WorkerResults]) => void;
  readonly reject: (error: unknown) => void;
  readonly onEvent: ((event: RunEvent) => void) | undefined;
}

/** One worker, started when it is first needed, and anew after a crash. */
export class WorkerLane {
  #setup: WorkerSetup;
  #worker: Worker | undefined;
  #tasks = new Map<number, OpenTask>();
  #next = 0;

  /** @param setup How the worker is set up. */
  constructor(setup: WorkerSetup) {
    this.#setup = setup;
  }

  /** Has the worker do a task. Tasks run side by side where they wait. */
  async do<T extends WorkerTask>(task: T, options: TaskOptions = {}): Promise<WorkerResults[T["type"]]> {
    const { signal, onEvent } = options;
    signal?.throwIfAborted();
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<WorkerResults[keyof WorkerResults]>();
    this.#tasks.set(id, { resolve, reject, onEvent });
    const cancel = (): void => this.#post({ type: "cancel", id });
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      this.#post({ ...task, id });
      return await promise as WorkerResults[T["type"]];
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#tasks.delete(id);
    }
  }

  /** Ends the worker, and what it is at. */
  close(): void {
    this.#end(
      new PixstageError("engine_closed", "The server is shutting down: send the request again later"),
    );
  }

  #post(message: ToWorker): void {
    this.#worker ??= this.#start();
    this.#worker.postMessage(message);
  }

  #start(): Worker {
    const worker = new Worker(import.meta.resolve("./worker.ts"), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>): void => this.#receive(data);
    worker.onerror = (event): void => {
      // Without this the fault of one worker would end the whole server.
      event.preventDefault();
      this.#end(new PixstageError("host_died", `A worker of the engine ended: ${event.message}`));
    };
    worker.postMessage({ type: "setup", setup: this.#setup } satisfies ToWorker);
    return worker;
  }

  #receive(message: FromWorker): void {
    if (message.type === "ready") return;
    const task = this.#tasks.get(message.id);
    if (message.type === "event") task?.onEvent?.(message.event);
    else if (message.type === "result") task?.resolve(message.result);
    else task?.reject(deserializeError(message.error));
  }

  #end(reason: PixstageError): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#tasks.values()) reject(reason);
    this.#tasks.clear();
  }
}
