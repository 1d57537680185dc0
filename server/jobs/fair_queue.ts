// This module is browser compatible.

/**
 * A queue that serves its clients in turn: a client that orders a hundred runs delays the one run of another by one
 * place.
 *
 * @example Usage
 * ```ts
 * import { FairQueue } from "./fair_queue.ts";
 *
 * const queue = new FairQueue<string>();
 * for (const item of ["a1", "a2", "a3"]) queue.push("a", item);
 * queue.push("b", "b1");
 * console.assert(queue.inOrder().join() === "a1,b1,a2,a3");
 * ```
 */
export class FairQueue<T> {
  /** The clients in the order in which they are served next. */
  #clients = new Map<string, T[]>();

  /** How many wait. */
  get size(): number {
    return this.#clients.values().reduce((sum, items) => sum + items.length, 0);
  }

  /** Lets an item wait behind the client's others. */
  push(client: string, item: T): void {
    const items = this.#clients.get(client);
    if (items) items.push(item);
    else this.#clients.set(client, [item]);
  }

  /**
   * Takes the next item; its client is served last from then on.
   *
   * @param mayRun Items for which it is false stay where they are.
   */
  shift(mayRun: (item: T) => boolean = () => true): T | undefined {
    for (const [client, items] of this.#clients) {
      const index = items.findIndex(mayRun);
      if (index < 0) continue;
      const [item] = items.splice(index, 1);
      this.#clients.delete(client);
      if (items.length > 0) this.#clients.set(client, items);
      return item;
    }
    return undefined;
  }

  /** Returns an item that was taken but could not be served. It is next again. */
  putBack(client: string, item: T): void {
    const items = [item, ...this.#clients.get(client) ?? []];
    this.#clients.delete(client);
    this.#clients = new Map([[client, items], ...this.#clients]);
  }

  /** Takes an item out, if it waits. */
  remove(item: T): boolean {
    for (const [client, items] of this.#clients) {
      const index = items.indexOf(item);
      if (index < 0) continue;
      items.splice(index, 1);
      if (items.length === 0) this.#clients.delete(client);
      return true;
    }
    return false;
  }

  /** All that wait, in the order in which they would be served if nobody else came. */
  inOrder(): T[] {
    const rounds = Math.max(0, ...this.#clients.values().map((items) => items.length));
    const lists = [...this.#clients.values()];
    return Array.from(
      { length: rounds },
      (_, round) => lists.flatMap((items) => items.slice(round, round + 1)),
    )
      .flat();
  }
}
