// This module is browser compatible.

/**
 * Stores: keep artifacts by the SHA-256 of their content, and record how each was made.
 *
 * @module
 */

import type { Artifact } from "../artifact.ts";
import type { ArtifactOutline } from "../outline.ts";
import type { StageRecord } from "./stage_record.ts";

/** Damage in a store. */
export interface StoreDamage {
  /** The kind of damaged object: an artifact or a record. */
  readonly what: "artifact" | "record";
  /** Id of the artifact, or key of the record. */
  readonly id: string;
  /** Location of the damage: a path or a URL. */
  readonly place: string;
  /** The problem. */
  readonly reason: string;
}

/** Options for reading from a store. */
export interface StoreReadOptions {
  /** Called for an entry that exists but is damaged. The read itself treats it as absent. */
  readonly onDamage?: ((damage: StoreDamage) => void) | undefined;
}

/** Keeps artifacts by the SHA-256 of their content. */
export interface ArtifactStore {
  /** Reads an artifact and checks its content against its id. Returns `undefined` if there is none. */
  get(id: string, options?: StoreReadOptions): Promise<Artifact | undefined>;
  /**
   * Reads the outline of an artifact without its tensors, and without checking its content. Returns
   * `undefined` if there is no such artifact. A store without this method has no cheaper way than to read the
   * whole artifact.
   */
  outline?(id: string, options?: StoreReadOptions): Promise<ArtifactOutline | undefined>;
  /**
   * Keeps an artifact. Does nothing if it is already kept, and repairs it if it is damaged.
   *
   * @returns Its id.
   */
  put(artifact: Artifact): Promise<string>;
  /** Returns whether an artifact exists. Only {@linkcode ArtifactStore.get} checks whether it is intact. */
  has(id: string): Promise<boolean>;
  /** Removes an artifact, and the record of how it was made. */
  delete(id: string): Promise<void>;
}

/** Keeps the results of stages by key. The key is a digest of everything that determines the result. */
export interface ResultIndex {
  /** Returns the result under a key, or `undefined` if there is none. */
  result(key: string, options?: StoreReadOptions): Promise<StageRecord | undefined>;
  /** Keeps the result under a key. */
  keepResult(key: string, record: StageRecord): Promise<void>;
  /** Removes the result under a key. The artifacts stay. */
  removeResult(key: string): Promise<void>;
  /** Returns how an artifact was first made, or `undefined` if it is unknown. */
  madeBy(id: string, options?: StoreReadOptions): Promise<StageRecord | undefined>;
}

/** Everything that a run keeps. */
export interface RunStore extends ArtifactStore, ResultIndex {
  /** The folder, if other processes of this machine can open the same store. */
  readonly folder?: string;
  /** Lists all artifacts. Absent if the store cannot list them. */
  list?(): Iterable<StoredArtifact> | AsyncIterable<StoredArtifact>;
}

/** An entry in a store's list of artifacts. */
export interface StoredArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** Size of its file in bytes. */
  readonly bytes: number;
  /** Time of the last put or read, in milliseconds since 1970. */
  readonly usedAt: number;
}

/**
 * Combines a store of artifacts with another one for the records of runs.
 *
 * @param artifacts Keeps the artifacts.
 * @param results Keeps the records.
 * @returns Both as one store.
 */
export function combinedStore(artifacts: ArtifactStore, results: ResultIndex): RunStore {
  return {
    get: (id, options) => artifacts.get(id, options),
    put: (artifact) => artifacts.put(artifact),
    has: (id) => artifacts.has(id),
    delete: (id) => artifacts.delete(id),
    result: (key, options) => results.result(key, options),
    keepResult: (key, record) => results.keepResult(key, record),
    removeResult: (key) => results.removeResult(key),
    madeBy: (id, options) => results.madeBy(id, options),
  };
}
