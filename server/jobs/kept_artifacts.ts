/**
 * Tells other processes which artifacts of the store are to stay: those of starred jobs. A server keeps its job
 * database to itself while it runs.
 *
 * @module
 */

import { writeKept } from "../../artifacts/store/folder_kept.ts";
import type { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { Log } from "../log.ts";

/** Writes the list of artifacts that are to stay. */
export class KeptArtifacts {
  #store: FolderStore;
  #starred: () => ReadonlySet<string>;
  #log: Log;
  #written: string | undefined;
  #isDue = false;
  #writing: Promise<void> | undefined;

  /**
   * @param store The store.
   * @param starred The ids of the artifacts of starred jobs.
   * @param log Receives an entry where the list cannot be written. The next change writes it again.
   */
  constructor(store: FolderStore, starred: () => ReadonlySet<string>, log: Log) {
    this.#store = store;
    this.#starred = starred;
    this.#log = log;
  }

  /** Writes the list, as jobs were starred or removed, or as starred ones have ended. */
  changed(): void {
    this.#isDue = true;
    this.#writing ??= this.#write().finally(() => this.#writing = undefined);
  }

  /** Waits until the list is written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    // A server may be in the midst of opening its jobs.
    await Promise.resolve();
    while (this.#isDue) {
      this.#isDue = false;
      try {
        const ids = [...this.#starred()].sort();
        const text = ids.join();
        if (text === this.#written) continue;
        await writeKept(this.#store.folder, ids);
        this.#written = text;
      } catch (error) {
        this.#log("kept_not_written", { error: String(error) });
      }
    }
  }
}
