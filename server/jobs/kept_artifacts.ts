/**
 * Publishes which artifacts of the store must stay, i.e. those of starred jobs, for other processes. They
 * cannot read the job database while a server runs, because the server locks it.
 *
 * @module
 */

import { writeKept } from "../../artifacts/store/folder_kept.ts";
import type { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { Log } from "../log.ts";

/** Writes the list of artifacts that must stay. */
export class KeptArtifacts {
  #store: FolderStore;
  #starred: () => ReadonlySet<string>;
  #log: Log;
  #written: string | undefined;
  #isDue = false;
  #writing: Promise<void> | undefined;

  /**
   * @param store The store.
   * @param starred Returns the ids of the artifacts of starred jobs.
   * @param log Receives an entry if the list cannot be written. The next change writes it again.
   */
  constructor(store: FolderStore, starred: () => ReadonlySet<string>, log: Log) {
    this.#store = store;
    this.#starred = starred;
    this.#log = log;
  }

  /** Writes the list after jobs were starred or removed, or after starred jobs have ended. */
  changed(): void {
    this.#isDue = true;
    this.#writing ??= this.#write().finally(() => this.#writing = undefined);
  }

  /** Waits until the list is written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    // The server may still be opening its jobs.
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
