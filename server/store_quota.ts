/**
 * How large the store may grow: what was not used for the longest time is removed, and artifacts that find no room
 * without it are refused.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { collectGarbage } from "../artifacts/store/folder_care.ts";
import { FileError } from "../artifacts/file_error.ts";
import type { FolderStore } from "../artifacts/store/folder_store.ts";
import { ApiError } from "./api_error.ts";
import type { Log } from "./log.ts";

/** What was used within this time stays: whoever made it, or put it, has not come back for it yet. */
const RECENT_MS = 5 * 60_000;

/** The store is looked through at least this often, and so long after something was made. */
const OFTEN_MS = 10 * 60_000;
const GROWN_MS = 10_000;

/** Between two looks lies at least this, and so many times as long as the last one took. */
const REST_MS = 1000;
const REST_TIMES = 4;

/** A collection leaves this share of the quota free, so that the next does not follow at once. */
const LEFT_SHARE = 0.9;

/** Artifacts that are put leave this much of the disk, or this share of a small one, to the runs. */
const RUNS_BYTES = 1e9;
const RUNS_SHARE = 0.05;

/** How large a store may grow. */
export interface StoreQuotaOptions {
  /** The most that the files of the store may take together. */
  readonly maxBytes?: number | undefined;
  /** What was not used for longer is removed. */
  readonly maxAgeMs?: number | undefined;
  /** The artifacts that jobs which wait or run are going to read. */
  readonly inUse: () => ReadonlySet<string>;
  /** Takes note of what was removed. */
  readonly log: Log;
}

/** Keeps a store within bounds. */
export class StoreQuota {
  #store: FolderStore;
  #options: StoreQuotaOptions;
  /** The files of the store. */
  #bytes = 0;
  /** What is being put. */
  #arriving = 0;
  #collecting: Promise<void> | undefined;
  #restUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Infinity;
  #isClosed = false;

  /**
   * @param store The store.
   * @param options How large it may grow. Without bounds nothing is removed.
   */
  constructor(store: FolderStore, options: StoreQuotaOptions) {
    this.#store = store;
    this.#options = options;
    if (this.#isBounded) this.#collectIn(0);
  }

  /** Something was made: the store is looked through soon. */
  grown(): void {
    if (this.#isBounded) this.#collectIn(GROWN_MS);
  }

  /**
   * Takes bytes of an artifact that is put.
   *
   * @param bytes How many.
   * @throws {ApiError} 507 if they are more than the store may hold.
   * @throws {FileError} with the code `ENOSPC` if the disk has no room for them.
   */
  async take(bytes: number): Promise<void> {
    const { maxBytes = Infinity } = this.#options;
    const isTooMuch = (): boolean => this.#bytes + this.#arriving + bytes > maxBytes;
    // How large the store is, nobody knows before the first look.
    const isUnknown = this.#restUntil === 0;
    if (maxBytes < Infinity && (isUnknown || isTooMuch() && performance.now() > this.#restUntil)) {
      await this.#collect(bytes);
    }
    if (isTooMuch()) {
      throw new ApiError(
        507,
        "store_full",
        "Cannot take the artifact as the server's store is full: try again later, or put less",
      );
    }
    this.#arriving += bytes;
    if (await this.#leavesRoom(bytes)) return;
    this.#arriving -= bytes;
    throw new FileError("write", this.#store.folder, "ENOSPC");
  }

  /** Bytes that were taken are in the store now, or are not going to be. */
  settle(bytes: number, isKept: boolean): void {
    this.#arriving -= bytes;
    if (isKept) this.#bytes += bytes;
  }

  /** Removes nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#collecting;
  }

  get #isBounded(): boolean {
    const { maxBytes, maxAgeMs } = this.#options;
    return maxBytes !== undefined || maxAgeMs !== undefined;
  }

  /** Looks through the store in so long, unless that is due earlier. */
  #collectIn(ms: number): void {
    const now = performance.now();
    const dueAt = Math.max(now + ms, this.#restUntil);
    if (this.#isClosed || dueAt >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = dueAt;
    this.#timer = setTimeout(() => this.#collect(), dueAt - now);
  }

  /** Looks through the store and removes what is too much, with so much to come. */
  async #collect(wanted = 0): Promise<void> {
    const begun = performance.now();
    this.#collecting ??= this.#lookThrough(wanted).finally(() => {
      this.#collecting = undefined;
      const ended = performance.now();
      this.#restUntil = ended + Math.max(REST_MS, (ended - begun) * REST_TIMES);
      this.#dueAt = Infinity;
      this.#collectIn(OFTEN_MS);
    });
    await this.#collecting;
  }

  async #lookThrough(wanted: number): Promise<void> {
    const { maxBytes = Infinity, maxAgeMs, inUse, log } = this.#options;
    const most = maxBytes - this.#arriving - wanted;
    const before = this.#bytes;
    const needed = inUse();
    const recent = Date.now() - RECENT_MS;
    try {
      const { removed, left } = await collectGarbage(this.#store, most, {
        target: Math.min(most, maxBytes * LEFT_SHARE),
        maxAgeMs,
        isNeeded: ({ id, usedAt }) => usedAt > recent || needed.has(id),
      });
      // What was put meanwhile may or may not have been seen.
      this.#bytes = left.bytes + Math.max(this.#bytes - before, 0);
      if (removed.files > 0) log("store_collected", { removed, left });
    } catch (error) {
      log("store_not_collected", { error: String(error) });
    }
  }

  /** Whether the disk keeps room for the runs. */
  async #leavesRoom(bytes: number): Promise<boolean> {
    const found = await statfs(this.#store.folder).catch(() => undefined);
    if (!found) return true;
    const { bavail, blocks, bsize } = found;
    return bavail * bsize - bytes >= Math.min(RUNS_BYTES, blocks * bsize * RUNS_SHARE);
  }
}
