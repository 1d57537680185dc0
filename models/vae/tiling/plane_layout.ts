// This module is browser compatible.

/**
 * Between planes as graphs have them, channel after channel, and planes as they are held, row after row.
 *
 * @module
 */

import { GroupStatistics } from "./group_statistics.ts";
import type { Planes } from "./planes.ts";

/**
 * Puts [channels, rows, width] into planes.
 *
 * @param data The values, channel after channel.
 * @param planes Where they go.
 */
export function rowsOf(data: Float32Array, planes: Planes): void {
  const { rows, channels, width } = planes;
  const into = planes.view(0, rows).data;
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const start = (channel * rows + row) * width;
      into.set(data.subarray(start, start + width), (row * channels + channel) * width);
    }
  }
}

/**
 * Takes [channels, rows, width] out of planes.
 *
 * @param planes The planes.
 * @returns The values, channel after channel.
 */
export function channelsOf(planes: Planes): Float32Array<ArrayBuffer> {
  const { rows, channels, width } = planes;
  const from = planes.view(0, rows).data;
  const data = new Float32Array(channels * rows * width);
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const start = (row * channels + channel) * width;
      data.set(from.subarray(start, start + width), (channel * rows + row) * width);
    }
  }
  return data;
}

/**
 * Mean and variance of groups of channels.
 *
 * @param data [channels, rows, width].
 * @param groups Number of groups.
 */
export function planeStatistics(data: Float32Array, groups: number): GroupStatistics {
  const count = data.length / groups;
  const means = new Float64Array(groups);
  const squares = new Float64Array(groups);
  for (let group = 0; group < groups; group++) {
    const values = data.subarray(group * count, (group + 1) * count);
    let sum = 0;
    for (const value of values) sum += value;
    const mean = sum / count;
    let square = 0;
    for (const value of values) square += (value - mean) ** 2;
    means[group] = mean;
    squares[group] = square;
  }
  const statistics = new GroupStatistics(groups);
  statistics.add(means, squares, count);
  return statistics;
}
