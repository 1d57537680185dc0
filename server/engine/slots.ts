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
   * @returns The slot, to be disposed of.
   */
  async take(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return { [Symbol.dispose]: () => this.#give() };
  }

  #give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
