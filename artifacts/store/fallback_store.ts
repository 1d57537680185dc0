// This module is browser compatible.

import type { ArtifactStore, RunStore } from "./store.ts";

/**
 * Reads artifacts that a store lacks from a fallback. Everything else goes to the store itself, including
 * `has`, which tells whether processes that open the store's folder find the artifact there.
 *
 * @param store The store.
 * @param fallback A store with artifacts that the first one could not take.
 */
export function withFallback(store: RunStore, fallback: Pick<ArtifactStore, "get">): RunStore {
  return {
    ...(store.folder === undefined ? {} : { folder: store.folder }),
    get: async (id, options) => await store.get(id, options) ?? await fallback.get(id, options),
    put: (artifact) => store.put(artifact),
    has: (id) => store.has(id),
    delete: (id) => store.delete(id),
    result: (key, options) => store.result(key, options),
    keepResult: (key, record) => store.keepResult(key, record),
    removeResult: (key) => store.removeResult(key),
    ...(store.list && { list: () => store.list!() }),
    madeBy: (id, options) => store.madeBy(id, options),
  };
}
