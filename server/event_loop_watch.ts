import { readFileSync } from "node:fs";

/** Milliseconds between two looks at the event loop. */
const EVERY_MS = 10;

/** Linux: nanoseconds that the thread that reads this, the event loop's, has run on a processor, and more. */
const SCHEDULER_FIGURES = "/proc/thread-self/schedstat";

/** Delays of the event loop, in seconds. */
export interface EventLoopDelays {
  /** The longest. */
  readonly longest: number;
  /**
   * The most processor time that the event loop took during one delay, 0 on systems that do not tell. The
   * rest of a delay belongs to other processes, or to the disk.
   */
  readonly busiest: number;
}

/**
 * Watches how late the event loop calls a timer. `monitorEventLoopDelay` of `node:perf_hooks` sees no delays
 * in Deno.
 */
export class EventLoopWatch {
  #timer: ReturnType<typeof setInterval>;
  #longest = 0;
  #busiest = 0;

  /** @param onDelay Takes each delay in seconds, most of which are about 0. */
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

  /** Reads the longest delays since the last call. */
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

/** Seconds that the event loop has run on a processor. */
function processorSeconds(): number {
  try {
    return Number(readFileSync(SCHEDULER_FIGURES, "utf8").split(" ")[0]) / 1e9;
  } catch {
    return 0;
  }
}
