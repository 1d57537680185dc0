// This module is browser compatible.

import type { Artifact } from "../artifact.ts";
import { artifactId } from "../artifact_file.ts";
import { tensorBytes } from "../tensor.ts";
import type { StageRecord } from "./stage_record.ts";
import type { RunStore, StoredArtifact } from "./store.ts";

/**
 * A store that lasts as long as its process. Artifacts are not copied, so a caller must not change one after
 * putting it.
 *
 * @example Usage
 * ```ts
 * import { MemoryStore } from "./memory_store.ts";
 * import { tensor } from "../tensor.ts";
 *
 * const store = new MemoryStore();
 * const latents = tensor("float32", [1, 4, 8, 8], new Float32Array(256));
 * const id = await store.put({ kind: "latents", tensors: { latents }, metadata: {} });
 * console.assert((await store.get(id))?.kind === "latents");
 * ```
 */
export class MemoryStore implements RunStore {
  #artifacts = new Map<string, { artifact: Artifact; usedAt: number }>();
  #results = new Map<string, StageRecord>();
  #makers = new Map<string, StageRecord>();

  get(id: string): Promise<Artifact | undefined> {
    const entry = this.#artifacts.get(id);
    if (entry) entry.usedAt = Date.now();
    return Promise.resolve(entry?.artifact);
  }

  async put(artifact: Artifact): Promise<string> {
    const id = await artifactId(artifact);
    this.#artifacts.set(id, { artifact, usedAt: Date.now() });
    return id;
  }

  has(id: string): Promise<boolean> {
    return Promise.resolve(this.#artifacts.has(id));
  }

  delete(id: string): Promise<void> {
    this.#artifacts.delete(id);
    this.#makers.delete(id);
    return Promise.resolve();
  }

  /** Lists all artifacts, in the order in which they were put. */
  list(): StoredArtifact[] {
    return [...this.#artifacts].map(([id, { artifact, usedAt }]) => ({
      id,
      bytes: Object.values(artifact.tensors).reduce((sum, value) => sum + tensorBytes(value).length, 0),
      usedAt,
    }));
  }

  result(key: string): Promise<StageRecord | undefined> {
    return Promise.resolve(this.#results.get(key));
  }

  keepResult(key: string, record: StageRecord): Promise<void> {
    this.#results.set(key, record);
    for (const id of Object.values(record.outputs)) {
      if (!this.#makers.has(id)) this.#makers.set(id, record);
    }
    return Promise.resolve();
  }

  removeResult(key: string): Promise<void> {
    this.#results.delete(key);
    return Promise.resolve();
  }

  madeBy(id: string): Promise<StageRecord | undefined> {
    return Promise.resolve(this.#makers.get(id));
  }
}
