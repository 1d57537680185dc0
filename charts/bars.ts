// This module is browser compatible.

/**
 * Draws the rows of a table as groups of horizontal bars.
 *
 * @module
 */

import { chart } from "./chart.ts";
import { element, escapeMarkup } from "./markup.ts";
import { axisScale, type AxisUnit } from "./scale.ts";
import { CHART_STYLE, SERIES } from "./style.ts";

/** A row of a table. */
export interface BarGroup {
  readonly label: string;
  /** A value for each series, in the unit of the chart; `undefined` if the series has none. */
  readonly values: readonly (number | undefined)[];
}

/** A chart of bars. */
export interface BarChart {
  readonly title: string;
  /** The unit of all values, e.g. `MB`. */
  readonly unit: string;
  /** The names of the series, four at most. Each series has one bar in each group. */
  readonly series: readonly string[];
  readonly groups: readonly BarGroup[];
}

const WIDTH = 860;
const RIGHT = 76;
const BAR = 13;
const GROUP_GAP = 11;
/** Estimated width of a letter in pixels, at the sizes of labels. */
const LETTER = 6.9;

/**
 * Draws a chart of bars.
 *
 * @param chart The chart.
 * @returns An SVG document of 860 pixels width, for a light and a dark background.
 */
export function barChart({ title, unit, series, groups }: BarChart): string {
  const left = 24 + LETTER * Math.max(...groups.map(({ label }) => label.length));
  const plot = WIDTH - left - RIGHT;
  const largest = Math.max(
    0,
    ...groups.flatMap(({ values }) => values.filter((value) => value !== undefined)),
  );
  const units: readonly AxisUnit[] = [{ name: unit, size: 1, next: 1000 }];
  const { end, ticks } = axisScale(largest, units, { count: 5, rounds: true });
  const x = (value: number): number => left + (plot * value) / end;
  const top = series.length > 1 ? 84 : 56;
  const heightOf = ({ values }: BarGroup): number => BAR * shown(values).length + GROUP_GAP;
  const bottom = top + groups.reduce((sum, group) => sum + heightOf(group), 0);

  const parts = [element("text", { x: 16, y: 30, class: "title" }, escapeMarkup(title))];
  if (series.length > 1) parts.push(...legend(series));
  for (const { value, label } of ticks) {
    parts.push(
      element("line", { x1: x(value), y1: top, x2: x(value), y2: bottom, class: value ? "grid" : "axis" }),
    );
    parts.push(element("text", { x: x(value), y: bottom + 18, class: "small muted middle" }, label));
  }
  let y = top;
  for (const group of groups) {
    const height = heightOf(group);
    const middle = y + height / 2;
    parts.push(
      element("text", { x: left - 10, y: middle + 4, class: "small end" }, escapeMarkup(group.label)),
    );
    for (const [row, { value, index }] of shown(group.values).entries()) {
      const at = y + GROUP_GAP / 2 + row * BAR;
      const bar = { x: left, y: at, width: x(value) - left, height: BAR - 2, rx: 2, fill: colour(index) };
      const tip = `${group.label}, ${series[index]}: ${value} ${unit}`;
      parts.push(element("rect", bar, element("title", {}, escapeMarkup(tip))));
      parts.push(element("text", { x: x(value) + 6, y: at + 10, class: "value" }, String(value)));
    }
    y += height;
  }
  const height = bottom + 30;
  const style = `${CHART_STYLE}svg.chart .value{font-size:11px}`;
  return chart(title, { width: WIDTH, height }, style, parts) + "\n";
}

/** Returns the values that are defined, each with the index of its series. */
function shown(values: BarGroup["values"]): { readonly value: number; readonly index: number }[] {
  return values.flatMap((value, index) => value === undefined ? [] : [{ value, index }]);
}

function colour(series: number): string {
  return `var(--${SERIES[series % SERIES.length]})`;
}

function legend(series: readonly string[]): string[] {
  let x = 16;
  return series.flatMap((name, index) => {
    const key = element("rect", { x, y: 48, width: 12, height: 12, rx: 2, fill: colour(index) });
    const label = element("text", { x: x + 18, y: 58, class: "small muted" }, escapeMarkup(name));
    x += 18 + name.length * LETTER + 22;
    return [key, label];
  });
}
