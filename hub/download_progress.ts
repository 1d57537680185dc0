/**
 * Reports how far a download of several files is.
 *
 * @module
 */

import { z } from "zod";
import type { RepositoryFile } from "./repository.ts";

/** The schema of {@linkcode DownloadProgress}. */
export const downloadProgressSchema = z.object({
  /** The file that got further. */
  file: z.string(),
  /** Received of it. */
  received: z.number(),
  /** Its size. */
  total: z.number(),
  /** Received of all files. */
  allReceived: z.number(),
  /** Size of all files that are fetched together: the small ones, or all of a component. */
  allTotal: z.number(),
});

/** How far a download is; all figures in bytes. What was in the cache before counts as received. */
export type DownloadProgress = Readonly<z.infer<typeof downloadProgressSchema>>;

const INTERVAL_MS = 100;

/** Adds up what the files of a download report. */
export class ProgressReport {
  readonly #listener: ((progress: DownloadProgress) => void) | undefined;
  readonly #received = new Map<string, number>();
  readonly #reported = new Map<string, number>();
  #allReceived = 0;
  readonly #allTotal: number;

  /**
   * @param files The files.
   * @param listener Told of each file at most ten times a second, and when it is whole.
   */
  constructor(
    files: readonly RepositoryFile[],
    listener: ((progress: DownloadProgress) => void) | undefined,
  ) {
    this.#allTotal = files.reduce((sum, { size }) => sum + size, 0);
    this.#listener = listener;
  }

  /** Notes how much of a file is there. */
  received(file: RepositoryFile, bytes: number): void {
    const before = this.#received.get(file.path);
    if (before === bytes) return;
    this.#allReceived += bytes - (before ?? 0);
    this.#received.set(file.path, bytes);
    const now = performance.now();
    const last = this.#reported.get(file.path) ?? -Infinity;
    if (bytes < file.size && now - last < INTERVAL_MS) return;
    this.#reported.set(file.path, now);
    this.#listener?.({
      file: file.path,
      received: bytes,
      total: file.size,
      allReceived: this.#allReceived,
      allTotal: this.#allTotal,
    });
  }
}
