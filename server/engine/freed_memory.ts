/**
 * Memory that was freed, given back to the system.
 *
 * @module
 */

import { memoryUsage } from "node:process";
import { trimFreed } from "../../runtime/freed_memory.ts";

/**
 * The process may grow by so much before what was freed goes back. Each time costs the next run some 50 ms of page
 * faults: with this it is every third run or so of a picture at 256 px.
 */
const GROWTH_BYTES = 160e6;

/** What was freed goes back when nothing has run for so long. */
const IDLE_MS = 10_000;

/**
 * Gives back to the system what runs have freed. glibc keeps freed memory apart for each thread that allocates, and runs
 * go through many threads of ONNX Runtime and Deno: under load a server would come to hold hundreds of megabytes that
 * nobody uses. Other C libraries keep little; there nothing is done.
 */
export class FreedMemory {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isBusy = false;
  /** Resident bytes after memory was given back last. */
  #floor = 0;

  /** A run has ended: what it freed goes back at once if the process has grown, else when nothing runs. */
  runEnded(): void {
    clearTimeout(this.#timer);
    if (memoryUsage.rss() - this.#floor > GROWTH_BYTES) this.#giveBack();
    else this.#timer = setTimeout(() => this.#giveBack(), IDLE_MS);
  }

  /** Gives nothing back any more. */
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
