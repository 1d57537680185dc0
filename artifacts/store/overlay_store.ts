// This module is browser compatible.

import { MemoryStore } from "./memory_store.ts";
import type { RunStore } from "./store.ts";

/**
 * Returns an in-memory store on top of a read-only one. Existing entries are found in the lower store; new
 * ones last as long as the process.
 *
 * @param below The store to read from.
 * @returns A store that never writes to `below`.
 */
export function overlayStore(below: RunStore): RunStore {
  const above = new MemoryStore();
  return {
    get: async (id, options) => await above.get(id) ?? await below.get(id, options),
    put: (artifact) => above.put(artifact),
    has: async (id) => await above.has(id) || await below.has(id),
    delete: (id) => above.delete(id),
    result: async (key, options) => await above.result(key) ?? await below.result(key, options),
    keepResult: (key, record) => above.keepResult(key, record),
    removeResult: (key) => above.removeResult(key),
    ...(below.list && { list: () => below.list!() }),
    madeBy: async (id, options) => await above.madeBy(id) ?? await below.madeBy(id, options),
  };
}
