// This module is browser compatible.

/**
 * Stores: where artifacts lie under the SHA-256 of their content, and where it is written down how each was made.
 *
 * @module
 */

import type { Artifact } from "../artifact.ts";
import type { ArtifactOutline } from "../outline.ts";
import type { StageRecord } from "./stage_record.ts";

/** Something in a store that is not as it must be. */
export interface StoreDamage {
  /** What it is: an artifact or a record. */
  readonly what: "artifact" | "record";
  /** The id or key under which it lies. */
  readonly id: string;
  /** Where it lies: a path or an address. */
  readonly place: string;
  /** What is wrong with it. */
  readonly reason: string;
}

/** How something is read from a store. */
export interface StoreReadOptions {
  /** Takes what is there, but damaged. The read itself treats it as absent. */
  readonly onDamage?: ((damage: StoreDamage) => void) | undefined;
}

/** Keeps artifacts by the SHA-256 of their content. */
export interface ArtifactStore {
  /** Reads an artifact whose content has been held against its id; `undefined` where there is no such. */
  get(id: string, options?: StoreReadOptions): Promise<Artifact | undefined>;
  /**
   * Reads the outline of an artifact without its tensors, and without holding its content against its id;
   * `undefined` where there is no such. Stores without this method have no cheaper way than to read it whole.
   */
  outline?(id: string, options?: StoreReadOptions): Promise<ArtifactOutline | undefined>;
  /**
   * Keeps an artifact; does nothing where it is kept already, and mends it where it is damaged.
   *
   * @returns Its id.
   */
  put(artifact: Artifact): Promise<string>;
  /** Whether something lies under an id. Only {@linkcode ArtifactStore.get} says whether it is whole. */
  has(id: string): Promise<boolean>;
  /** Removes an artifact, and the note of how it was made. */
  delete(id: string): Promise<void>;
}

/** Keeps what stages made, by a key that stands for all that the result depends on. */
export interface ResultIndex {
  /** What was made under a key; `undefined` where nothing was. */
  result(key: string, options?: StoreReadOptions): Promise<StageRecord | undefined>;
  /** Writes down what was made under a key. */
  keepResult(key: string, record: StageRecord): Promise<void>;
  /** Forgets what was made under a key; the artifacts stay. */
  removeResult(key: string): Promise<void>;
  /** How an artifact was made when it was made first; `undefined` where nobody knows. */
  madeBy(id: string, options?: StoreReadOptions): Promise<StageRecord | undefined>;
}

/** All that a run keeps. */
export interface RunStore extends ArtifactStore, ResultIndex {
  /** The folder, where other processes of this machine can open the same store. */
  readonly folder?: string;
  /** All artifacts, where they can be listed. */
  list?(): Iterable<StoredArtifact> | AsyncIterable<StoredArtifact>;
}

/** An artifact in a store, as lists tell of it. */
export interface StoredArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** Size of its file in bytes. */
  readonly bytes: number;
  /** When it was last put or read, in milliseconds since 1970. */
  readonly usedAt: number;
}

/**
 * Puts artifacts in one place and the records of runs in another.
 *
 * @param artifacts Keeps the artifacts.
 * @param results Keeps the records.
 * @returns Both as one.
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
