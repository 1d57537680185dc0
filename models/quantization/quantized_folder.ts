/**
 * What lies in the folder of quantized weights, and making room there.
 *
 *     FINGERPRINT-TIME-int8-v2/model.safetensors        the weights
 *     FINGERPRINT-TIME-int8-v2/model.safetensors.lock   held while they are written; its time is that of their last use
 *
 * @module
 */

import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { readSafetensorsFileHeader } from "../../artifacts/disk.ts";
import { onDisk } from "../../artifacts/file_error.ts";
import { lockFile } from "../../artifacts/file_lock.ts";

/** Quantized weights of one component. */
export interface QuantizedEntry {
  /** The name of their folder: fingerprint, time, recipe and version of the quantizer. */
  readonly id: string;
  /** Their folder. */
  readonly folder: string;
  /** The component that they were made from, such as `PixArt-XL-2-512x512/text_encoder`; `undefined` until whole. */
  readonly component?: string;
  /** Their recipe, such as `int8`; `undefined` until whole. */
  readonly recipe?: string;
  /** The version of the quantizer that wrote them; `undefined` until whole. */
  readonly version?: string;
  /** What they take on the disk, in bytes. */
  readonly bytes: number;
  /** When they were last opened, in milliseconds since 1970. */
  readonly usedAt: number;
}

const WEIGHTS = "model.safetensors";

/** The file of the weights with an id. */
export function quantizedPath(folder: string, id: string): string {
  return join(folder, id, WEIGHTS);
}

/** The lock that is held while a file of weights is written. */
export function quantizedLock(path: string): string {
  return `${path}.lock`;
}

/** Notes that quantized weights are used now. What belongs to another user keeps its time. */
export async function markUsed(path: string): Promise<void> {
  const now = new Date();
  await utimes(quantizedLock(path), now, now).catch(() => {});
}

/**
 * Lists quantized weights, those that were used last at the end.
 *
 * @param folder The folder that they are kept in; it need not exist.
 * @returns The weights, also those that a stopped quantization has begun.
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
 * Removes quantized weights; who needs them writes them again. Waits until nobody writes them.
 *
 * @param entry The weights.
 * @throws {FileError} if the disk refuses.
 */
export async function removeQuantized({ folder }: QuantizedEntry): Promise<void> {
  using _lock = await lockFile(quantizedLock(join(folder, WEIGHTS)));
  await onDisk("write", folder, rm(folder, { recursive: true, force: true }));
}

/**
 * Removes what was not used for the longest time until the rest is no larger than asked for.
 *
 * @param folder The folder that quantized weights are kept in.
 * @param maxBytes The most that may be left.
 * @returns What was removed.
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
