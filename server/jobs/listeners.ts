/** Hands out promises of the next change of a subject. */
export class Listeners {
  #waiting = new Map<string, Set<() => void>>();

  /** Resolves at the next change of a subject. */
  next(id: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    return promise;
  }

  /** Resolves the promises of a subject. */
  changed(id: string): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    for (const resolve of waiting ?? []) resolve();
  }

  /** Resolves all promises. */
  allChanged(): void {
    for (const id of [...this.#waiting.keys()]) this.changed(id);
  }
}
