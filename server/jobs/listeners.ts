/** Who waits for something to change, by what it is about. */
export class Listeners {
  #waiting = new Map<string, Set<() => void>>();

  /** Settles at the next change. */
  next(id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    return promise;
  }

  /** Something has changed. */
  changed(id: string): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    for (const resolve of waiting ?? []) resolve();
  }

  /** Everything has changed. */
  allChanged(): void {
    for (const id of [...this.#waiting.keys()]) this.changed(id);
  }
}
