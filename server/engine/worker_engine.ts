import type { Engine, EngineResult, EngineRun, PictureOrder } from "./engine.ts";
import { FreedMemory } from "./freed_memory.ts";
import type { WorkerSetup } from "./messages.ts";
import { WorkerLane } from "./worker_lane.ts";

/** How a {@linkcode WorkerEngine} is set up. */
export interface WorkerEngineOptions extends WorkerSetup {
  /**
   * Graphs that run at once, each in a thread of its own.
   *
   * @default {1}
   */
  readonly lanes?: number | undefined;
}

/** Runs graphs in worker threads, and writes pictures in one more, which is never busy for long. */
export class WorkerEngine implements Engine {
  readonly lanes: number;
  #free: WorkerLane[];
  #all: readonly WorkerLane[];
  #desk: WorkerLane;
  #freed = new FreedMemory();
  #waiting: ((lane: WorkerLane) => void)[] = [];

  /** @param options How it is set up. */
  constructor({ lanes = 1, ...setup }: WorkerEngineOptions) {
    this.lanes = lanes;
    this.#all = Array.from({ length: lanes }, () => new WorkerLane(setup));
    this.#free = [...this.#all];
    this.#desk = new WorkerLane(setup);
  }

  async check(graph: unknown): Promise<void> {
    await this.#desk.do({ type: "check", graph });
  }

  async run({ graph, previews, onEvent, signal }: EngineRun): Promise<EngineResult> {
    const lane = this.#free.pop() ?? await new Promise<WorkerLane>((resolve) => this.#waiting.push(resolve));
    try {
      return await lane.do({ type: "run", graph, previews }, { onEvent, signal });
    } finally {
      this.#freed.runEnded();
      const next = this.#waiting.shift();
      if (next) next(lane);
      else this.#free.push(lane);
    }
  }

  async picture(order: PictureOrder): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return await this.#desk.do({ type: "picture", order });
  }

  close(): Promise<void> {
    this.#freed.close();
    for (const lane of [...this.#all, this.#desk]) lane.close();
    return Promise.resolve();
  }
}
