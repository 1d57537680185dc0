import { readKernelFile } from "../system/kernel.ts";

/** Milliseconds between two checks of the event loop. */
const EVERY_MS = 10;

/**
 * On Linux, a file that starts with the nanoseconds of processor time of the thread that reads it, here the
 * event loop's.
 */
const SCHEDULER_FIGURES = "/proc/thread-self/schedstat";

/** Delays of the event loop, in seconds. */
export interface EventLoopDelays {
  /** The longest delay. */
  readonly longest: number;
  /**
   * The most processor time that the event loop used during one delay; 0 on systems that do not report it.
   * The rest of a delay is due to other processes or to the disk.
   */
  readonly busiest: number;
}

/**
 * Measures how late the event loop calls a timer. `monitorEventLoopDelay` of `node:perf_hooks` reports no
 * delays in Deno.
 */
export class EventLoopWatch {
  #timer: ReturnType<typeof setInterval>;
  #longest = 0;
  #busiest = 0;

  /** @param onDelay Receives each delay in seconds. Most delays are about 0. */
  constructor(onDelay: (seconds: number) => void) {
    let due = performance.now() + EVERY_MS;
    let busy = processorSeconds();
    this.#timer = setInterval(() => {
      const now = performance.now();
      const delay = Math.max(now - due, 0) / 1000;
      const busyNow = processorSeconds();
      onDelay(delay);
      this.#longest = Math.max(this.#longest, delay);
      this.#busiest = Math.max(this.#busiest, Math.min(delay, busyNow - busy));
      due = now + EVERY_MS;
      busy = busyNow;
    }, EVERY_MS);
  }

  /** Returns the longest delays since the last call. */
  take(): EventLoopDelays {
    const delays = { longest: this.#longest, busiest: this.#busiest };
    this.#longest = this.#busiest = 0;
    return delays;
  }

  /** Stops watching. */
  close(): void {
    clearInterval(this.#timer);
  }
}

/** Returns the processor time of the event loop's thread, in seconds. */
function processorSeconds(): number {
  try {
    return Number(readKernelFile(SCHEDULER_FIGURES).split(" ")[0]) / 1e9;
  } catch {
    return 0;
  }
}
