// This module is browser compatible.

/**
 * A queue that serves its clients in turn. A client that orders a hundred runs delays another client's single
 * run by only one place.
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
  /** Items by client. The map's order is the order in which the clients are served next. */
  #clients = new Map<string, T[]>();

  /** Number of waiting items. */
  get size(): number {
    return this.#clients.values().reduce((sum, items) => sum + items.length, 0);
  }

  /** Adds an item behind the client's others. */
  push(client: string, item: T): void {
    const items = this.#clients.get(client);
    if (items) items.push(item);
    else this.#clients.set(client, [item]);
  }

  /**
   * Takes the next item. Its client is then served last.
   *
   * @param mayRun Whether an item may be taken. The others keep their places.
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

  /** Puts back an item that was taken but could not be served. The item is next again. */
  putBack(client: string, item: T): void {
    const items = [item, ...this.#clients.get(client) ?? []];
    this.#clients.delete(client);
    this.#clients = new Map([[client, items], ...this.#clients]);
  }

  /** Removes an item if it is waiting. Returns whether it was. */
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

  /** Returns all waiting items in the order in which they would be served if no further items arrived. */
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
