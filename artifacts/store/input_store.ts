// This module is browser compatible.

import { MemoryStore } from "./memory_store.ts";
import type { RunStore } from "./store.ts";

/**
 * Returns an in-memory store that finds the artifacts of another store and how they were made, but none of
 * its results. A run with it computes everything again, and can still start from artifacts that only the
 * other store has.
 *
 * @param below The store to read from.
 * @returns A store that never writes to `below`.
 */
export function inputStore(below: RunStore): RunStore {
  const above = new MemoryStore();
  return {
    get: async (id, options) => await above.get(id) ?? await below.get(id, options),
    put: (artifact) => above.put(artifact),
    has: async (id) => await above.has(id) || await below.has(id),
    delete: (id) => above.delete(id),
    result: (key) => above.result(key),
    keepResult: (key, record) => above.keepResult(key, record),
    removeResult: (key) => above.removeResult(key),
    ...(below.list && { list: () => below.list!() }),
    madeBy: async (id, options) => await above.madeBy(id) ?? await below.madeBy(id, options),
  };
}
