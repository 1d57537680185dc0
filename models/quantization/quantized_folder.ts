/**
 * Lists and evicts the content of the folder of quantized weights.
 *
 *     FINGERPRINT-TIME-int8-v2/model.safetensors        the weights
 *     FINGERPRINT-TIME-int8-v2/model.safetensors.lock   held while they are written; modified at last use
 *
 * @module
 */

import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { readSafetensorsFileHeader } from "../../artifacts/files_on_disk.ts";
import { onDisk } from "../../disk/file_error.ts";
import { lockFile } from "../../disk/file_lock.ts";

/** Quantized weights of one component. */
export interface QuantizedEntry {
  /** Name of the entry's folder: fingerprint, time, recipe and version of the quantizer. */
  readonly id: string;
  /** Path of the entry's folder. */
  readonly folder: string;
  /**
   * The component that was quantized, such as `PixArt-XL-2-512x512/text_encoder`; `undefined` until complete.
   */
  readonly component?: string;
  /** The recipe of the weights, such as `int8`; `undefined` until complete. */
  readonly recipe?: string;
  /** Version of the quantizer that wrote them; `undefined` until complete. */
  readonly version?: string;
  /** Size on disk in bytes. */
  readonly bytes: number;
  /** Time of the last opening, in milliseconds since 1970. */
  readonly usedAt: number;
}

const WEIGHTS = "model.safetensors";

/** Returns the path of the weight file of an entry. */
export function quantizedPath(folder: string, id: string): string {
  return join(folder, id, WEIGHTS);
}

/** Returns the path of the lock that is held while a weight file is written. */
export function quantizedLock(path: string): string {
  return `${path}.lock`;
}

/** Records the current time as the last use of quantized weights. Has no effect on files of another user. */
export async function markUsed(path: string): Promise<void> {
  const now = new Date();
  await utimes(quantizedLock(path), now, now).catch(() => {});
}

/**
 * Lists quantized weights, most recently used last.
 *
 * @param folder The folder of quantized weights; it need not exist.
 * @returns The entries, including incomplete ones of an interrupted quantization.
 */
export async function listQuantized(folder: string): Promise<QuantizedEntry[]> {
  const ids = await readdir(folder).catch(() => []);
  const entries = await Promise.all(ids.map((id) => quantizedEntry(join(folder, id), id)));
  return entries.filter((entry) => entry !== undefined).sort((a, b) => a.usedAt - b.usedAt);
}

async function quantizedEntry(folder: string, id: string): Promise<QuantizedEntry | undefined> {
  const path = join(folder, WEIGHTS);
  const used = await stat(quantizedLock(path)).catch(() => undefined);
  if (!used) return undefined;
  const sizes = await Promise.all(
    (await readdir(folder)).map((name) => stat(join(folder, name)).then(({ size }) => size, () => 0)),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const header = await readSafetensorsFileHeader(path).catch(() => undefined);
  const component = header?.metadata.get("name");
  const recipe = header?.metadata.get("recipe");
  const version = header?.metadata.get("quantizer");
  return {
    id,
    folder,
    bytes,
    usedAt: used.mtimeMs,
    ...(component === undefined ? {} : { component }),
    ...(recipe === undefined ? {} : { recipe }),
    ...(version === undefined ? {} : { version }),
  };
}

/**
 * Removes quantized weights after waiting for any writer to finish. The next run that needs them writes them
 * again.
 *
 * @param entry The weights.
 * @throws {FileError} if the files cannot be removed.
 */
export async function removeQuantized({ folder }: QuantizedEntry): Promise<void> {
  using _lock = await lockFile(quantizedLock(join(folder, WEIGHTS)));
  await onDisk("write", folder, rm(folder, { recursive: true, force: true }));
}

/**
 * Removes the least recently used entries until the rest fits into `maxBytes`.
 *
 * @param folder The folder of quantized weights.
 * @param maxBytes Maximum size of the remaining entries in bytes.
 * @returns The removed entries.
 */
export async function makeRoom(folder: string, maxBytes: number): Promise<QuantizedEntry[]> {
  const entries = await listQuantized(folder);
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  let count = 0;
  while (bytes > maxBytes && count < entries.length) bytes -= entries[count++]!.bytes;
  const doomed = entries.slice(0, count);
  for (const entry of doomed) await removeQuantized(entry);
  return doomed;
}
