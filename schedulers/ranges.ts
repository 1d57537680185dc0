// This module is browser compatible.

/**
 * Evenly spaced numbers, rounding and interpolation with the rounding of the reference's array libraries.
 *
 * @module
 */

import { f32 } from "./float32.ts";

/** Returns `count` numbers from `start` to `stop`, both included, in float64 as in numpy. */
export function linspace(start: number, stop: number, count: number): number[] {
  const step = (stop - start) / (count - 1);
  return Array.from(
    { length: count },
    (_, index) => index > 0 && index === count - 1 ? stop : index === 0 ? start : index * step + start,
  );
}

/**
 * Returns `count` numbers from `start` to `stop`, both included, in float32 as in PyTorch on a CPU: counted
 * from the nearer end, with one rounding for product and sum together.
 */
export function linspace32(start: number, stop: number, count: number): Float32Array {
  const first = f32(start);
  const last = f32(stop);
  const step = f32(f32(last - first) / (count - 1));
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    values[index] = index < count >> 1 ? first + step * index : last - step * (count - 1 - index);
  }
  return values;
}

/** Returns the numbers from `start` down to above 0, `step` apart, like numpy's `arange(start, 0, -step)`. */
export function countdown(start: number, step: number): number[] {
  const delta = start - step - start;
  return Array.from({ length: Math.max(Math.ceil(start / step), 0) }, (_, index) => start + index * delta);
}

/** Rounds to the nearest integer and halves to the nearest even one, like numpy. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Returns the value of `table` at a fractional index: linear between neighbours, constant outside. */
export function interpolate(table: Float32Array, index: number): number {
  if (index <= 0) return table[0]!;
  const last = table.length - 1;
  if (index >= last) return table[last]!;
  const below = Math.floor(index);
  return (table[below + 1]! - table[below]!) * (index - below) + table[below]!;
}
