// This module is browser compatible.

/**
 * Amounts of memory, as users say them.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1e9,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  b: 1,
};

/**
 * Reads an amount of memory: `1.5GB`, `900MB`, `2GiB`; a bare number is in GB. As in stable-diffusion.cpp's
 * `--max-vram`, 0 stands for no limit and a negative amount for the free memory less that much.
 *
 * @param text The amount.
 * @returns Bytes, negative for free memory less that much.
 * @throws {InputError} if it is no amount of memory.
 *
 * @example Usage
 * ```ts
 * import { parseMemorySize } from "./memory_size.ts";
 * console.assert(parseMemorySize("1.5GB") === 1.5e9);
 * console.assert(parseMemorySize("-2GiB") === -(2 ** 31));
 * ```
 */
export function parseMemorySize(text: string): number {
  const match = /^(-?)(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = UNITS[match?.[3]?.toLowerCase() ?? "?"];
  if (!match || unit === undefined) {
    throw new InputError(
      "invalid_value",
      `Cannot read an amount of memory as it must be a number with B, KB, MB, GB, KiB, MiB or GiB: ` +
        `current value is "${text}"`,
    );
  }
  const bytes = Math.round(Number(match[2]) * unit);
  return match[1] === "-" ? -bytes : bytes;
}

/**
 * The limit that an amount stands for.
 *
 * @param amount Bytes: above 0 the limit itself, 0 for none, below 0 free memory less that much.
 * @param freeBytes Memory that is free.
 * @returns The limit in bytes; `undefined` if there is none.
 */
export function memoryLimit(amount: number, freeBytes: number): number | undefined {
  if (amount === 0) return undefined;
  return amount > 0 ? amount : Math.max(0, freeBytes + amount);
}

/** An amount of memory, for people. */
export function formatMemory(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${Math.round(bytes / 1e6)} MB`;
}
