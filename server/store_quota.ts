/**
 * Keeps a server's store within its limits: removes the least recently used files, and refuses artifacts that
 * would still exceed the limit.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { collectGarbage } from "../artifacts/store/folder_maintenance.ts";
import { FileError } from "../disk/file_error.ts";
import type { FolderStore } from "../artifacts/store/folder_store.ts";
import { ApiError } from "./api_error.ts";
import type { Log } from "./log.ts";

/** Milliseconds for which files stay after their last use, because a client may be about to use them. */
const RECENT_MS = 5 * 60_000;

/** Milliseconds until the next scan of the store: at the latest, and after a job has ended. */
const OFTEN_MS = 10 * 60_000;
const GROWN_MS = 10_000;

/**
 * The pause between two scans: at least this many milliseconds, and this multiple of the last scan's
 * duration.
 */
const REST_MS = 1000;
const REST_TIMES = 4;

/**
 * Share of the limit to which a collection shrinks the store, so that the next collection is not due at once.
 */
const LEFT_SHARE = 0.9;

/** Disk space that uploads leave to the runs: this many bytes, or this fraction of a small disk. */
const RUNS_BYTES = 1e9;
const RUNS_SHARE = 0.05;

/** Limits of a store. */
export interface StoreQuotaOptions {
  /** Maximum size of all files together, in bytes. */
  readonly maxBytes?: number | undefined;
  /** Age in milliseconds after which unused files are removed. */
  readonly maxAgeMs?: number | undefined;
  /** Ids of the artifacts that unfinished jobs need. */
  readonly inUse: () => ReadonlySet<string>;
  /** Receives an entry for each collection. */
  readonly log: Log;
}

/** An upload, which counts towards the limit of a store from its first byte. */
export class Upload {
  /** Id of the artifact. */
  readonly id: string;
  /** Number of bytes that arrived. */
  bytes = 0;
  /** Whether a scan found the artifact in the store, and counted it, before the upload ended. */
  isCounted = false;

  /** @param id Id of the artifact. */
  constructor(id: string) {
    this.id = id;
  }
}

/** Enforces the limits of a store. */
export class StoreQuota {
  #store: FolderStore;
  #options: StoreQuotaOptions;
  /** Bytes of the files in the store. */
  #bytes = 0;
  /** Bytes of unfinished uploads. */
  #arriving = 0;
  #unfinished = new Set<Upload>();
  /** Uploads that ended since a scan began, with their artifacts in the store. */
  #stored: Upload[] = [];
  #collecting: Promise<void> | undefined;
  #restUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Infinity;
  #isClosed = false;

  /**
   * @param store The store.
   * @param options Its limits. Without a limit, nothing is removed.
   */
  constructor(store: FolderStore, options: StoreQuotaOptions) {
    this.#store = store;
    this.#options = options;
    if (this.#isBounded) this.#collectIn(0);
  }

  /** Schedules a scan after a job has ended. */
  grown(): void {
    if (this.#isBounded) this.#collectIn(GROWN_MS);
  }

  /** Begins an upload of the artifact with this id. */
  begin(id: string): Upload {
    const upload = new Upload(id);
    this.#unfinished.add(upload);
    return upload;
  }

  /**
   * Counts bytes of an upload.
   *
   * @param upload The upload.
   * @param bytes The number of bytes.
   * @throws {ApiError} 507 if the store would exceed its limit.
   * @throws {FileError} with the code `ENOSPC` if the disk would be too full.
   */
  async take(upload: Upload, bytes: number): Promise<void> {
    const { maxBytes = Infinity } = this.#options;
    const isTooMuch = (): boolean => this.#bytes + this.#arriving + bytes > maxBytes;
    // The size of the store is unknown before the first scan.
    const isUnknown = this.#restUntil === 0;
    if (maxBytes < Infinity && (isUnknown || isTooMuch() && performance.now() > this.#restUntil)) {
      await this.#collect(bytes);
    }
    if (isTooMuch()) {
      throw new ApiError(
        "store_full",
        "Cannot store the artifact because the server's store is full: try again later, or upload less",
      );
    }
    this.#arriving += bytes;
    upload.bytes += bytes;
    if (!await this.#leavesSpace(bytes)) throw new FileError("write", this.#store.folder, "ENOSPC");
  }

  /** Ends an upload: its artifact is in the store now, or it failed. */
  end(upload: Upload, isStored: boolean): void {
    this.#unfinished.delete(upload);
    if (upload.isCounted) return;
    this.#arriving -= upload.bytes;
    if (!isStored) return;
    this.#bytes += upload.bytes;
    if (this.#collecting) this.#stored.push(upload);
  }

  /** Stops scanning. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#collecting;
  }

  get #isBounded(): boolean {
    const { maxBytes, maxAgeMs } = this.#options;
    return maxBytes !== undefined || maxAgeMs !== undefined;
  }

  /** Schedules a scan unless an earlier one is due. */
  #collectIn(ms: number): void {
    const now = performance.now();
    const dueAt = Math.max(now + ms, this.#restUntil);
    if (this.#isClosed || dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => this.#collect(), dueAt - now);
  }

  /** Scans the store and shrinks it until an upload of this many bytes fits. */
  async #collect(wanted = 0): Promise<void> {
    const begun = performance.now();
    this.#collecting ??= this.#scan(wanted).finally(() => {
      this.#collecting = undefined;
      const ended = performance.now();
      this.#restUntil = ended + Math.max(REST_MS, (ended - begun) * REST_TIMES);
      this.#dueAt = Infinity;
      this.#collectIn(OFTEN_MS);
    });
    await this.#collecting;
  }

  async #scan(wanted: number): Promise<void> {
    const { maxBytes = Infinity, maxAgeMs, inUse, log } = this.#options;
    const most = maxBytes - this.#arriving - wanted;
    this.#stored = [];
    const needed = inUse();
    // Reading the record of how an artifact was made counts as a use. A snapshot is found only through its
    // record.
    for (const id of needed) await this.#store.madeBy(id);
    const recent = Date.now() - RECENT_MS;
    try {
      const { removed, left, ids } = await collectGarbage(this.#store, most, {
        target: Math.min(most, maxBytes * LEFT_SHARE),
        maxAgeMs,
        isNeeded: ({ id, usedAt }) => usedAt > recent || needed.has(id),
      });
      // An upload that ends while the store is scanned may be found or missed. It counts once in either case.
      for (const upload of this.#unfinished) {
        if (upload.isCounted || !ids.has(upload.id)) continue;
        upload.isCounted = true;
        this.#arriving -= upload.bytes;
      }
      const missed = this.#stored.filter(({ id }) => !ids.has(id));
      this.#bytes = missed.reduce((sum, { bytes }) => sum + bytes, left.bytes);
      if (removed.files > 0) log("store_collected", { removed, left });
    } catch (error) {
      log("store_not_collected", { error: String(error) });
    }
  }

  /** Whether the disk keeps enough space for the runs. */
  async #leavesSpace(bytes: number): Promise<boolean> {
    const found = await statfs(this.#store.folder).catch(() => undefined);
    if (!found) return true;
    const { bavail, blocks, bsize } = found;
    return bavail * bsize - bytes >= Math.min(RUNS_BYTES, blocks * bsize * RUNS_SHARE);
  }
}
