/**
 * Checks that the store keeps the results of runs, and that its disk has space for them.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { FileError } from "../../disk/file_error.ts";
import type { FolderStore } from "../../artifacts/store/folder_store.ts";
import { ApiError } from "../api_error.ts";
import type { MadeOutput } from "../engine/engine.ts";

/** Bytes per pixel of an image artifact: three channels of float32. */
const PIXEL_BYTES = 12;

/**
 * Estimated size of an artifact that is not a picture, in bytes. On a small disk, a tenth of the disk is used
 * instead.
 */
const OTHER_BYTES = 1 << 24;

/** Extra space for records and for the job database, in bytes. */
const SPARE_BYTES = 1 << 20;

/** The error of a run whose results the store lacks. */
export class NotKeptError extends ApiError {
  override name = "NotKeptError";
  /** Free bytes needed to repeat the run; 0 if the disk was not full. */
  readonly bytes: number;
  /** Whether the run is worth repeating. */
  readonly isWorthRepeating: boolean;

  /**
   * @param message The message.
   * @param bytes Free bytes that the run needs.
   * @param isWorthRepeating Whether the run is worth repeating.
   */
  constructor(message: string, bytes: number, isWorthRepeating: boolean) {
    super(bytes > 0 ? "disk_full" : "lost", message);
    this.bytes = bytes;
    this.isWorthRepeating = isWorthRepeating;
  }
}

/** Checks a store and its disk, and decides whether runs have to wait for free space. */
export class StoreSpace {
  #store: Pick<FolderStore, "folder">;
  #results: Pick<FolderStore, "use">;
  #wanted: { readonly bytes: number; readonly fault: FileError } | undefined;

  /**
   * @param store The store whose disk is checked.
   * @param results The store that receives the results.
   */
  constructor(store: FolderStore, results: Pick<FolderStore, "use"> = store) {
    this.#store = store;
    this.#results = results;
  }

  /** The reason why runs have to wait; `undefined` if they do not. */
  get fault(): FileError | undefined {
    return this.#wanted?.fault;
  }

  /** Makes runs wait until this many bytes are free. */
  waitFor(bytes: number): void {
    const advice = `A run needs ${bytes} bytes`;
    this.#wanted = { bytes, fault: new FileError("write", this.#store.folder, "ENOSPC", { advice }) };
  }

  /** Makes runs wait because a write failed. */
  waitAfter(fault: FileError): void {
    this.#wanted = { bytes: SPARE_BYTES, fault };
  }

  /** Returns the free bytes that a run needs in order to continue; 0 if the disk has them. */
  async lacking(): Promise<number> {
    return await this.#has(SPARE_BYTES) ? 0 : SPARE_BYTES;
  }

  /** Checks whether runs still have to wait. */
  async look(): Promise<void> {
    if (this.#wanted && await this.#has(this.#wanted.bytes)) this.#wanted = undefined;
  }

  /**
   * Checks that the store has the results of a run. A picture that cannot be fetched is lost.
   *
   * @param results The results.
   * @param isFull Whether the disk is known to be full.
   * @throws {NotKeptError} if the store lacks one of them.
   */
  async requireKept(results: readonly MadeOutput[], isFull: boolean): Promise<void> {
    const bytes = await this.#lacking(results);
    if (bytes === 0) return;
    if (!isFull && await this.#has(bytes)) {
      throw new NotKeptError("The store lost a result of the run", 0, true);
    }
    const { total } = await this.#disk();
    const message =
      `The disk of the store is full: the run needs ${bytes} bytes, but the whole disk has ${total}`;
    throw new NotKeptError(message, bytes, bytes <= total);
  }

  /** Estimates the size of the results that the store lacks, in bytes. */
  async #lacking(results: readonly MadeOutput[]): Promise<number> {
    let bytes = 0;
    for (const { id, images, width, height } of results) {
      // A result found in the store may be old. Marking it as used keeps it until clients have fetched it.
      if (await this.#results.use(id)) continue;
      const isPicture = images !== undefined && width !== undefined && height !== undefined;
      bytes += isPicture ? images * width * height * PIXEL_BYTES : await this.#otherBytes();
    }
    return bytes > 0 ? bytes + SPARE_BYTES : 0;
  }

  async #otherBytes(): Promise<number> {
    const { total } = await this.#disk();
    return Math.min(OTHER_BYTES, Math.floor(total / 10));
  }

  async #has(bytes: number): Promise<boolean> {
    const { free } = await this.#disk();
    return free >= bytes;
  }

  /**
   * Returns the free and the total bytes of the disk. They are infinite if the store's folder is gone,
   * because a write creates it again.
   */
  async #disk(): Promise<{ free: number; total: number }> {
    const found = await statfs(this.#store.folder).catch(() => undefined);
    if (!found) return { free: Infinity, total: Infinity };
    const { bavail, blocks, bsize } = found;
    return { free: bavail * bsize, total: blocks * bsize };
  }
}
