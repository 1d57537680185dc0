import { readFileSync } from "node:fs";

/** Milliseconds between two looks at the event loop. */
const EVERY_MS = 10;

/**
 * Linux: nanoseconds that the process's first thread, the event loop's, has run on a processor, nanoseconds that it has
 * waited for one while others ran, and more.
 */
const SCHEDULER_FIGURES = "/proc/self/schedstat";

/** Delays of the event loop, in seconds. */
export interface EventLoopDelays {
  /** The longest. */
  readonly longest: number;
  /**
   * The longest without the time that the event loop waited for a processor because others ran, where the system tells
   * that: what the server's own work took, and waiting for the disk.
   */
  readonly own: number;
}

/**
 * Watches how late the event loop calls a timer. `monitorEventLoopDelay` of `node:perf_hooks` sees no delays in Deno.
 */
export class EventLoopWatch {
  #timer: ReturnType<typeof setInterval>;
  #longest = 0;
  #own = 0;

  /** @param onDelay Takes each delay in seconds, most of which are about 0. */
  constructor(onDelay: (seconds: number) => void) {
    let due = performance.now() + EVERY_MS;
    let waited = secondsWaited();
    this.#timer = setInterval(() => {
      const now = performance.now();
      const delay = Math.max(now - due, 0) / 1000;
      const waitedNow = secondsWaited();
      onDelay(delay);
      this.#longest = Math.max(this.#longest, delay);
      this.#own = Math.max(this.#own, delay - (waitedNow - waited));
      due = now + EVERY_MS;
      waited = waitedNow;
    }, EVERY_MS);
  }

  /** Reads the longest delays since the last call. */
  take(): EventLoopDelays {
    const delays = { longest: this.#longest, own: this.#own };
    this.#longest = this.#own = 0;
    return delays;
  }

  /** Stops watching. */
  close(): void {
    clearInterval(this.#timer);
  }
}

/** Seconds that the event loop has waited for a processor since it began. */
function secondsWaited(): number {
  try {
    return Number(readFileSync(SCHEDULER_FIGURES, "utf8").split(" ")[1]) / 1e9;
  } catch {
    return 0;
  }
}
