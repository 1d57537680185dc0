// This module is browser compatible.

/**
 * The limit that an amount of memory stands for, as in stable-diffusion.cpp's `--max-vram`.
 *
 * @param amount Bytes: above 0 the limit itself, 0 for none, below 0 free memory less that much.
 * @param freeBytes Memory that is free.
 * @returns The limit in bytes; `undefined` if there is none.
 */
export function memoryLimit(amount: number, freeBytes: number): number | undefined {
  if (amount === 0) return undefined;
  return amount > 0 ? amount : Math.max(0, freeBytes + amount);
}
