/**
 * Whether the store has what a run made, and room for what it does not have.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import type { FolderStore } from "../../artifacts/store/folder_store.ts";
import type { MadeOutput } from "../engine/engine.ts";

/** Bytes of a pixel in an image artifact: three channels of float32. */
const PIXEL_BYTES = 12;

/** Artifacts that are no pictures are taken to be no larger than this, and than a tenth of the disk. */
const OTHER_BYTES = 1 << 24;

/** What must be free besides, for records and for the jobs themselves. */
export const SPARE_BYTES = 1 << 20;

/** Looks at a store and at its disk. */
export class StoreRoom {
  #store: FolderStore;

  /** @param store The store. */
  constructor(store: FolderStore) {
    this.#store = store;
  }

  /** The store's folder. */
  get folder(): string {
    return this.#store.folder;
  }

  /**
   * How much room the results of a run need that the store does not have.
   *
   * @param results What the run made.
   * @returns Bytes, reckoned from the sizes of pictures; 0 if the store has all of them.
   */
  async lacking(results: readonly MadeOutput[]): Promise<number> {
    let bytes = 0;
    for (const { id, images, width, height } of results) {
      if (await this.#store.has(id)) continue;
      const isPicture = images !== undefined && width !== undefined && height !== undefined;
      bytes += isPicture ? images * width * height * PIXEL_BYTES : await this.#otherBytes();
    }
    return bytes > 0 ? bytes + SPARE_BYTES : 0;
  }

  /** Whether so much is free. */
  async has(bytes: number): Promise<boolean> {
    const { free } = await this.#disk();
    return free >= bytes;
  }

  /** Whether the disk could hold so much if it held nothing else. */
  async canEverHave(bytes: number): Promise<boolean> {
    const { total } = await this.#disk();
    return total >= bytes;
  }

  async #otherBytes(): Promise<number> {
    const { total } = await this.#disk();
    return Math.min(OTHER_BYTES, total / 10);
  }

  /** The sizes of the disk; a store that is gone is made anew, on a disk of which nothing is known. */
  async #disk(): Promise<{ free: number; total: number }> {
    const found = await statfs(this.#store.folder).catch(() => undefined);
    if (!found) return { free: Infinity, total: Infinity };
    const { bavail, blocks, bsize } = found;
    return { free: bavail * bsize, total: blocks * bsize };
  }
}
