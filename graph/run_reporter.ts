// This module is browser compatible.

import { toPixstageError } from "../errors/foreign_error.ts";
import type { RunEvent, StageMemory } from "./events.ts";
import type { StoreDamage } from "../artifacts/store/store.ts";

type WithoutTime<E> = E extends unknown ? Omit<E, "elapsedMs"> : never;

/** An event of a run that has not been given its time. */
export type UntimedEvent = WithoutTime<RunEvent>;

/** Tells what happens in one run: keeps its clock and its peak, and knows which node is running. */
export class RunReporter {
  /** The node that is running. */
  current: string | undefined;
  #onEvent: ((event: RunEvent) => void) | undefined;
  #started = performance.now();
  #peakBytes = 0;

  /** @param onEvent Takes the events. */
  constructor(onEvent: ((event: RunEvent) => void) | undefined) {
    this.#onEvent = onEvent;
  }

  /** Tells an event. */
  emit(event: UntimedEvent): void {
    this.#onEvent?.({ ...event, elapsedMs: performance.now() - this.#started } as RunEvent);
  }

  /** Tells that something in the store is damaged, and will be made again if it is needed. */
  readonly damage = ({ what, place, reason }: StoreDamage): void => {
    this.emit({
      type: "warning",
      message: `The ${what} ${place} is damaged and counts as absent: ${reason}`,
    });
  };

  /** Takes a stage's memory into account. */
  memory(memory: StageMemory | undefined): void {
    this.#peakBytes = Math.max(this.#peakBytes, memory?.peak ?? 0);
  }

  /** Tells that the run is over. */
  done(): void {
    this.emit({ type: "done", ...(this.#peakBytes > 0 ? { peakBytes: this.#peakBytes } : {}) });
  }

  /** Tells that the run failed, or was stopped. */
  fail(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return this.emit({ type: "cancelled" });
    const { name, code, fault, message } = toPixstageError(error);
    const node = this.current ? { node: this.current } : {};
    this.emit({ type: "failed", error: name, code, fault, message, ...node });
  }
}
