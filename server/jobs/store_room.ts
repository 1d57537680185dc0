/**
 * Whether the store has what runs made, and room for what it does not have.
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

/** Artifacts that are no pictures are taken to be no larger than this, and than a tenth of the disk. */
const OTHER_BYTES = 1 << 24;

/** What must be free besides, for records and for the jobs themselves. */
const SPARE_BYTES = 1 << 20;

/** What a run made is not in the store. */
export class NotKeptError extends ApiError {
  override name = "NotKeptError";
  /** How much must be free before it is made again; 0 if it was not for want of room. */
  readonly bytes: number;
  /** Whether the run is worth repeating. */
  readonly isWorthRepeating: boolean;

  /**
   * @param message What happened.
   * @param bytes How much must be free.
   * @param isWorthRepeating Whether the run is worth repeating.
   */
  constructor(message: string, bytes: number, isWorthRepeating: boolean) {
    super(bytes > 0 ? "disk_full" : "lost", message);
    this.bytes = bytes;
    this.isWorthRepeating = isWorthRepeating;
  }
}

/** Looks at a store and at its disk, and knows whether runs have to wait for room. */
export class StoreRoom {
  #store: FolderStore;
  #wanted: { readonly bytes: number; readonly fault: FileError } | undefined;

  /** @param store The store. */
  constructor(store: FolderStore) {
    this.#store = store;
  }

  /** Why runs have to wait; `undefined` if they need not. */
  get fault(): FileError | undefined {
    return this.#wanted?.fault;
  }

  /** Lets runs wait until so much is free. */
  await(bytes: number): void {
    const advice = `A run needs ${bytes} bytes`;
    this.#wanted = { bytes, fault: new FileError("write", this.#store.folder, "ENOSPC", { advice }) };
  }

  /** Lets runs wait for a moment, since nothing could be written. */
  awaitAfter(fault: FileError): void {
    this.#wanted = { bytes: SPARE_BYTES, fault };
  }

  /** Looks whether runs still have to wait. */
  async look(): Promise<void> {
    if (this.#wanted && await this.#has(this.#wanted.bytes)) this.#wanted = undefined;
  }

  /**
   * Makes sure that the store has what a run was for: a picture that nobody can fetch is none.
   *
   * @param results What it was for.
   * @param isFull Whether the disk is known to be full.
   * @throws {NotKeptError} if the store does not have it.
   */
  async requireKept(results: readonly MadeOutput[], isFull: boolean): Promise<void> {
    const bytes = await this.#lacking(results);
    if (bytes === 0) return;
    if (!isFull && await this.#has(bytes)) {
      throw new NotKeptError("The store lost what the run made", 0, true);
    }
    const { total } = await this.#disk();
    const message = `The disk of the store is full: the run needs ${bytes} bytes, the disk has ${total}`;
    throw new NotKeptError(message, bytes, bytes <= total);
  }

  /** How much room results need that the store does not have, reckoned from the sizes of pictures. */
  async #lacking(results: readonly MadeOutput[]): Promise<number> {
    let bytes = 0;
    for (const { id, images, width, height } of results) {
      if (await this.#store.has(id)) continue;
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

  /** The sizes of the disk; a store that is gone is made anew, on a disk of which nothing is known. */
  async #disk(): Promise<{ free: number; total: number }> {
    const found = await statfs(this.#store.folder).catch(() => undefined);
    if (!found) return { free: Infinity, total: Infinity };
    const { bavail, blocks, bsize } = found;
    return { free: bavail * bsize, total: blocks * bsize };
  }
}
