/**
 * Returns memory that runs have freed to the operating system.
 *
 * @module
 */

import { memoryUsage } from "node:process";
import { trimFreed } from "../../system/freed_memory.ts";

/**
 * Growth of the process, in bytes, after which it returns freed memory to the system. Each return costs the
 * next run some 50 ms of page faults. With this threshold, about every third run of a picture at 256 px pays
 * that cost.
 */
const GROWTH_BYTES = 160e6;

/** Idle time, in milliseconds, after which freed memory is returned to the system. */
const IDLE_MS = 10_000;

/**
 * Returns freed memory to the system. glibc keeps freed memory in an arena per thread that allocates, and
 * runs go through many threads of ONNX Runtime and Deno. Without this class, a server under load would
 * accumulate hundreds of megabytes of unused memory. Other C libraries keep little freed memory, so on them
 * this class does nothing.
 */
export class FreedMemory {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isBusy = false;
  /** Resident bytes after the last return of memory. */
  #floor = 0;

  /**
   * Notes that a run has ended. Freed memory is returned at once if the process has grown, otherwise once the
   * server is idle.
   */
  runEnded(): void {
    clearTimeout(this.#timer);
    if (memoryUsage.rss() - this.#floor > GROWTH_BYTES) this.#giveBack();
    else this.#timer = setTimeout(() => this.#giveBack(), IDLE_MS);
  }

  /** Stops returning memory. */
  close(): void {
    clearTimeout(this.#timer);
  }

  async #giveBack(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    await trimFreed();
    this.#floor = memoryUsage.rss();
    this.#isBusy = false;
  }
}
