/** Lets a few do something at once; the others wait for their turn, the first to come first. */
export class Slots {
  #free: number;
  #waiting: (() => void)[] = [];

  /** @param count How many at once. */
  constructor(count: number) {
    this.#free = count;
  }

  /**
   * Waits for a slot.
   *
   * @param signal Ends the wait.
   * @returns The slot, to be disposed of.
   * @throws the signal's reason once it is aborted.
   */
  async take(signal?: AbortSignal | undefined): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    return { [Symbol.dispose]: () => this.#give() };
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const leave = (): void => {
      this.#waiting = this.#waiting.filter((other) => other !== resolve);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  #give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
