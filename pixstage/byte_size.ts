// This module is browser compatible.

/**
 * Sizes in bytes, as users write them. All options share one grammar.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";

/**
 * A number, the first letter of a unit, and whether it is a unit of 1024: `1.5GB`, `8 GiB`, `500m`, `10B`.
 */
const SIZE = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|(b))?$/i;

const UNITS = ["k", "m", "g", "t"];

/**
 * Parses a size on a disk: a number with B, KB, MB, GB or TB for powers of 1000, or KiB, MiB, GiB or TiB for
 * powers of 1024. Case does not matter, and the last B can be left out. A bare number is in bytes.
 *
 * @param text The size.
 * @returns Bytes.
 * @throws {InputError} if the text is not a size.
 *
 * @example Usage
 * ```ts
 * import { diskSize } from "./byte_size.ts";
 * console.assert(diskSize("10GiB") === 10 * 2 ** 30);
 * console.assert(diskSize("1500") === 1500);
 * ```
 */
export function diskSize(text: string): number {
  return parseByteSize(text, text, 1);
}

/**
 * Parses an amount of memory: a size as {@linkcode diskSize} parses it, except that a bare number is in GB.
 * As in stable-diffusion.cpp's `--max-vram`, 0 means no limit, and a negative amount means the free memory
 * minus that much.
 *
 * @param text The amount.
 * @returns Bytes; negative for the free memory minus that much.
 * @throws {InputError} if the text is not an amount of memory.
 *
 * @example Usage
 * ```ts
 * import { memorySize } from "./byte_size.ts";
 * console.assert(memorySize("1.5GB") === 1.5e9);
 * console.assert(memorySize("-2GiB") === -(2 ** 31));
 * ```
 */
export function memorySize(text: string): number {
  const [, sign, amount = ""] = /^\s*(-?)(.*)$/s.exec(text) ?? [];
  const bytes = parseByteSize(text, amount, 1e9);
  return sign && bytes > 0 ? -bytes : bytes;
}

/** Parses a size that is a part of a text. A number without a unit counts `bare` bytes. */
function parseByteSize(text: string, part: string, bare: number): number {
  const [, digits, prefix, binary, byte] = SIZE.exec(part.trim()) ?? [];
  const base = binary ? 1024 : 1000;
  const unit = prefix ? base ** (1 + UNITS.indexOf(prefix.toLowerCase())) : byte ? 1 : bare;
  const bytes = Math.round(Number(digits) * unit);
  if (digits !== undefined && Number.isSafeInteger(bytes)) return bytes;
  throw new InputError(
    "invalid_value",
    `A size must be a number with a unit, such as 500MB, 1.5GB or 10GiB: current value is "${text}"`,
  );
}
