/**
 * Renames over files that others may have open.
 *
 * @module
 */

import { rename } from "node:fs/promises";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { systemCode } from "../errors/foreign_error.ts";

/** Error codes of Windows for a file that another process, such as a virus scanner, has open. */
const BUSY = ["EACCES", "EBUSY", "EPERM"];

/** Milliseconds before each further try: a second and a half in all. */
const WAITS_MS: readonly number[] = [10, 20, 40, 80, 160, 320, 640];

/**
 * Renames a file, and atomically replaces an existing file of the new name. On Windows, waits until no
 * program has that file open.
 *
 * @param from The file.
 * @param to Its new name.
 * @throws the system's error.
 */
export async function replaceFile(from: string, to: string): Promise<void> {
  const move = (): Promise<void> => rename(from, to);
  await (process.platform === "win32" ? whileBusy(move, WAITS_MS) : move());
}

/**
 * Tries something again for as long as a file is open elsewhere.
 *
 * @param operation What is tried.
 * @param waitsMs Milliseconds before each further try.
 * @throws the system's error of the last try, or at once where it is another one.
 */
export async function whileBusy(operation: () => Promise<void>, waitsMs: readonly number[]): Promise<void> {
  for (const wait of waitsMs) {
    try {
      return await operation();
    } catch (error) {
      if (!BUSY.includes(systemCode(error))) throw error;
      await delay(wait);
    }
  }
  await operation();
}
