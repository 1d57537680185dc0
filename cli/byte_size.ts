/**
 * Sizes in bytes, as users write them: one grammar for all options.
 *
 * @module
 */

import { InvalidArgumentError } from "commander";

/**
 * A number, the beginning of a unit, and whether the unit is one of 1024: `1.5GB`, `8 GiB`, `500m`, `10B`.
 */
const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|(b))?$/i;

const UNITS = ["k", "m", "g", "t"];

/**
 * Reads a size: a number with B, KB, MB, GB or TB for powers of 1000, KiB, MiB, GiB or TiB for powers of
 * 1024. Case does not count, and the last B may be left out.
 *
 * @param text The size.
 * @param bare How many bytes a number without a unit stands for.
 * @returns Bytes.
 * @throws {InvalidArgumentError} if it is no size.
 */
function parseByteSize(text: string, bare: number): number {
  const [, digits, prefix, binary, byte] = SIZE.exec(text.trim()) ?? [];
  const base = binary ? 1024 : 1000;
  const unit = prefix ? base ** (1 + UNITS.indexOf(prefix.toLowerCase())) : byte ? 1 : bare;
  const bytes = Math.round(Number(digits) * unit);
  if (digits !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError("It must be a size, such as 500MB, 1.5GB or 10GiB.");
}

/** Reads a size on a disk; a bare number is in bytes. */
export function diskSize(text: string): number {
  return parseByteSize(text, 1);
}

/**
 * Reads an amount of memory; a bare number is in GB. As in stable-diffusion.cpp's `--max-vram`, 0 stands
 * for no limit and a negative amount for the free memory less that much.
 *
 * @param text The amount.
 * @returns Bytes, negative for free memory less that much.
 * @throws {InvalidArgumentError} if it is no amount of memory.
 */
export function memorySize(text: string): number {
  const [, sign, amount = ""] = /^\s*(-?)(.*)$/s.exec(text) ?? [];
  const bytes = parseByteSize(amount, 1e9);
  return sign && bytes > 0 ? -bytes : bytes;
}
