// This module is browser compatible.

import { toPixstageError } from "../errors/foreign_error.ts";
import type { RunEvent, StageMemory } from "./events.ts";
import type { StoreDamage } from "../artifacts/store/store.ts";

type WithoutTime<E> = E extends unknown ? Omit<E, "elapsedMs"> : never;

/** An event of a run without its time. */
export type UntimedEvent = WithoutTime<RunEvent>;

/** Reports the events of one run. Keeps the run's clock and peak memory, and tracks which node is running. */
export class RunReporter {
  /** The node that is running. */
  current: string | undefined;
  #onEvent: ((event: RunEvent) => void) | undefined;
  #started = performance.now();
  #peakBytes = 0;

  /** @param onEvent Called with each event. */
  constructor(onEvent: ((event: RunEvent) => void) | undefined) {
    this.#onEvent = onEvent;
  }

  /** Reports an event. */
  emit(event: UntimedEvent): void {
    this.#onEvent?.({ ...event, elapsedMs: performance.now() - this.#started } as RunEvent);
  }

  /** Reports that an entry of the store is damaged. It is computed again if it is needed. */
  readonly damage = ({ what, place, reason }: StoreDamage): void => {
    this.emit({
      type: "warning",
      message: `The ${what} ${place} is damaged and is ignored: ${reason}`,
    });
  };

  /** Updates the peak memory of the run with a stage's memory. */
  memory(memory: StageMemory | undefined): void {
    this.#peakBytes = Math.max(this.#peakBytes, memory?.peak ?? 0);
  }

  /** Reports the end of the run. */
  done(): void {
    this.emit({ type: "done", ...(this.#peakBytes > 0 ? { peakBytes: this.#peakBytes } : {}) });
  }

  /** Reports that the run failed or was cancelled. */
  fail(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return this.emit({ type: "cancelled" });
    const { name, code, fault, message } = toPixstageError(error);
    const node = this.current ? { node: this.current } : {};
    this.emit({ type: "failed", error: name, code, fault, message, ...node });
  }
}
