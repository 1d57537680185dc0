// This module is browser compatible.

/** A connection was silent for too long. */
export class SilenceError extends Error {
  override name = "SilenceError";
}

/** Ends a connection that is open but silent, or no longer needed. */
export class ConnectionWatch {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #stops: readonly AbortSignal[];

  /**
   * @param milliseconds Longest silence in milliseconds.
   * @param stops Signals that end the connection.
   */
  constructor(milliseconds: number, stops: readonly AbortSignal[]) {
    this.#milliseconds = milliseconds;
    this.#stops = stops;
  }

  /** Aborted when the connection must end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Waits for an answer, or for its next chunk.
   *
   * @param next The promise of the chunk.
   * @param extra Milliseconds in addition to the longest silence, for an upload.
   * @throws {SilenceError} if nothing arrives; a signal's reason if the connection is ended.
   */
  async wait<T>(next: Promise<T>, extra = 0): Promise<T> {
    const ended = Promise.withResolvers<never>();
    const end = (reason: unknown): void => {
      // In Deno 2.9.6, the body of a garbage-collected response does not receive the abort by itself.
      this.#controller.abort(reason);
      ended.reject(reason);
    };
    const longest = this.#milliseconds + extra;
    const silence = new SilenceError(`the server sent nothing for ${Math.round(longest / 100) / 10} s`);
    const timer = setTimeout(() => end(silence), longest);
    const stop = (): void => end(this.#stops.find(({ aborted }) => aborted)?.reason);
    for (const signal of this.#stops) {
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop);
    }
    try {
      return await Promise.race([next, ended.promise]);
    } finally {
      clearTimeout(timer);
      for (const signal of this.#stops) signal.removeEventListener("abort", stop);
    }
  }
}
