/**
 * Checks that the store keeps the results of runs, and that its disk has space for them.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { FileError } from "../../artifacts/file_error.ts";
import type { FolderStore } from "../../artifacts/store/folder_store.ts";
import { ApiError } from "../api_error.ts";
import type { MadeOutput } from "../engine/engine.ts";

/** Bytes of a pixel in an image artifact: three channels of float32. */
const PIXEL_BYTES = 12;

/** An estimate for artifacts other than pictures; a tenth of the disk if that is less. */
const OTHER_BYTES = 1 << 24;

/** Space for records and for the job database. */
const SPARE_BYTES = 1 << 20;

/** The store lacks results of a run. */
export class NotKeptError extends ApiError {
  override name = "NotKeptError";
  /** Free bytes that the run needs to be repeated; 0 if the disk was not full. */
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

/** Checks a store and its disk, and says whether runs have to wait for free space. */
export class StoreSpace {
  #store: Pick<FolderStore, "folder">;
  #results: Pick<FolderStore, "use">;
  #wanted: { readonly bytes: number; readonly fault: FileError } | undefined;

  /**
   * @param store The store, whose disk is looked at.
   * @param results Where results are kept.
   */
  constructor(store: FolderStore, results: Pick<FolderStore, "use"> = store) {
    this.#store = store;
    this.#results = results;
  }

  /** The reason why runs have to wait; `undefined` if they need not. */
  get fault(): FileError | undefined {
    return this.#wanted?.fault;
  }

  /** Makes runs wait until so many bytes are free. */
  waitFor(bytes: number): void {
    const advice = `A run needs ${bytes} bytes`;
    this.#wanted = { bytes, fault: new FileError("write", this.#store.folder, "ENOSPC", { advice }) };
  }

  /** Makes runs wait because a write failed. */
  waitAfter(fault: FileError): void {
    this.#wanted = { bytes: SPARE_BYTES, fault };
  }

  /** Bytes that a run needs to go on where its disk is full; 0 if the disk is not. */
  async lacking(): Promise<number> {
    return await this.#has(SPARE_BYTES) ? 0 : SPARE_BYTES;
  }

  /** Checks whether runs still have to wait. */
  async look(): Promise<void> {
    if (this.#wanted && await this.#has(this.#wanted.bytes)) this.#wanted = undefined;
  }

  /**
   * Makes sure that the store has the results of a run: a picture that cannot be fetched is lost.
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
    const message = `The disk of the store is full: the run needs ${bytes} bytes, the disk has ${total}`;
    throw new NotKeptError(message, bytes, bytes <= total);
  }

  /** The estimated bytes of the results that the store lacks. */
  async #lacking(results: readonly MadeOutput[]): Promise<number> {
    let bytes = 0;
    for (const { id, images, width, height } of results) {
      // A result that was found in the store may be old: it must stay until clients have fetched it.
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

  /** The sizes of the disk; unlimited if the folder of the store is gone, as a write creates it again. */
  async #disk(): Promise<{ free: number; total: number }> {
    const found = await statfs(this.#store.folder).catch(() => undefined);
    if (!found) return { free: Infinity, total: Infinity };
    const { bavail, blocks, bsize } = found;
    return { free: bavail * bsize, total: blocks * bsize };
  }
}
