// This module is browser compatible.

/**
 * Returns the limit for an amount of memory, as in stable-diffusion.cpp's `--max-vram`.
 *
 * @param amount Bytes. A positive amount is the limit itself, 0 means no limit, a negative amount means the
 * free memory minus that much.
 * @param freeBytes Free memory in bytes.
 * @returns The limit in bytes, or `undefined` if there is none.
 */
export function memoryLimit(amount: number, freeBytes: number): number | undefined {
  if (amount === 0) return undefined;
  return amount > 0 ? amount : Math.max(0, freeBytes + amount);
}
