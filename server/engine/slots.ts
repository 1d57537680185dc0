/** A semaphore with numbered slots. Waiters are served first come, first served. */
export class Slots {
  #free: number[];
  #waiting: ((index: number) => void)[] = [];

  /** @param count Number of slots. */
  constructor(count: number) {
    this.#free = Array.from({ length: count }, (_, index) => index);
  }

  /**
   * Waits for a slot.
   *
   * @param signal Ends the wait.
   * @returns The slot, which the caller disposes of, and its number, from 0.
   * @throws the signal's reason once it is aborted.
   */
  async take(signal?: AbortSignal | undefined): Promise<Disposable & { readonly index: number }> {
    signal?.throwIfAborted();
    const index = this.#free.shift() ?? await this.#turn(signal);
    return { index, [Symbol.dispose]: () => this.#give(index) };
  }

  async #turn(signal: AbortSignal | undefined): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.push(resolve);
    const leave = (): void => {
      this.#waiting = this.#waiting.filter((other) => other !== resolve);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #give(index: number): void {
    const next = this.#waiting.shift();
    if (next) next(index);
    else this.#free.unshift(index);
  }
}
