// This module is browser compatible.

/**
 * The scale of an axis that begins at 0: round values for its ticks, with their unit.
 *
 * @module
 */

/** A unit of an axis. */
export interface AxisUnit {
  readonly name: string;
  /** Its size, in the values of the axis. */
  readonly size: number;
  /** Number of these units in the next larger one. Steps between ticks are round fractions of it. */
  readonly next: number;
}

/** Units of bytes. */
export const BYTES: readonly AxisUnit[] = [
  { name: "MB", size: 1e6, next: 1000 },
  { name: "GB", size: 1e9, next: 1000 },
];

/** Units of seconds. */
export const SECONDS: readonly AxisUnit[] = [
  { name: "ms", size: 1e-3, next: 1000 },
  { name: "s", size: 1, next: 60 },
  { name: "min", size: 60, next: 60 },
  { name: "h", size: 3600, next: 24 },
];

/** A value of an axis, and its label. */
export interface Tick {
  readonly value: number;
  readonly label: string;
}

/** An axis from 0 to `end`. */
export interface Scale {
  readonly end: number;
  readonly ticks: readonly Tick[];
}

/** Steps between two ticks, in powers of ten and, for times, in parts of 60. */
const STEPS = [1, 2, 5];
const STEPS_OF_SIXTY = [1, 2, 5, 10, 15, 30];

/**
 * Chooses round ticks for an axis.
 *
 * @param largest The largest value that the axis shows.
 * @param units The units, in ascending order.
 * @param options `count`: the maximum number of intervals. `rounds`: whether the axis ends at a
 * tick; otherwise it ends at the largest value.
 *
 * @example Usage
 * ```ts
 * import { axisScale, BYTES } from "./scale.ts";
 * import assert from "node:assert/strict";
 * const { end, ticks } = axisScale(1.14e9, BYTES, { count: 4, rounds: true });
 * assert.equal(end, 1.5e9);
 * assert.deepEqual(ticks.map(({ label }) => label), ["0", "0.5 GB", "1 GB", "1.5 GB"]);
 * ```
 */
export function axisScale(
  largest: number,
  units: readonly AxisUnit[],
  { count = 5, rounds = false }: { readonly count?: number; readonly rounds?: boolean } = {},
): Scale {
  const top = largest > 0 ? largest : units[0]!.size;
  // A label such as `2 min` reads better than `120 s`.
  const unit = units.findLast(({ size }, index) => index === 0 || top >= (index > 1 ? 2 : 1) * size)!;
  const step = tickStep(top / unit.size / count, unit.next) * unit.size;
  const intervals = rounds ? Math.ceil(top / step - 1e-9) : Math.floor(top / step + 1e-9);
  const ticks = Array.from({ length: intervals + 1 }, (_, index) => {
    const value = index * step;
    const number = Number((value / unit.size).toPrecision(6));
    return { value, label: index === 0 ? "0" : `${number} ${unit.name}` };
  });
  return { end: rounds ? intervals * step : top, ticks };
}

/** Returns the smallest round step that is not below a width. */
function tickStep(width: number, next: number): number {
  if (next === 60 && width > 1) {
    const found = STEPS_OF_SIXTY.find((step) => step >= width);
    if (found !== undefined) return found;
  }
  const power = 10 ** Math.floor(Math.log10(width));
  return power * (STEPS.find((step) => step * power >= width * (1 - 1e-9)) ?? 10);
}
