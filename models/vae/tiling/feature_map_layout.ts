// This module is browser compatible.

/**
 * Converts feature maps between the channel-major layout of graphs and the row-major layout in memory.
 *
 * @module
 */

import { tensor } from "../../../artifacts/tensor.ts";
import { GroupStatistics } from "./group_statistics.ts";
import { FeatureMaps, type FeatureMapSizes } from "./feature_maps.ts";

/**
 * Copies [channels, rows, width] into new feature maps.
 *
 * @param data The values in channel-major order.
 * @param sizes Rows, channels and width.
 */
export function rowsOf(data: Float32Array, sizes: FeatureMapSizes): FeatureMaps {
  const { rows, channels, width } = sizes;
  const maps = new FeatureMaps(sizes);
  const into = new Float32Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let row = 0; row < rows; row++) {
      const start = (channel * rows + row) * width;
      into.set(data.subarray(start, start + width), (row * channels + channel) * width);
    }
  }
  maps.append(tensor("float32", [rows, channels, width], into));
  return maps;
}

/**
 * Copies [channels, rows, width] out of feature maps.
 *
 * @param maps The feature maps.
 * @returns The values in channel-major order.
 */
export function channelsOf({ strips, rows, channels, width }: FeatureMaps): Float32Array<ArrayBuffer> {
  const data = new Float32Array(channels * rows * width);
  for (const { first, end, data: from } of strips) {
    for (let channel = 0; channel < channels; channel++) {
      for (let row = first; row < end; row++) {
        const start = ((row - first) * channels + channel) * width;
        data.set(from.subarray(start, start + width), (channel * rows + row) * width);
      }
    }
  }
  return data;
}

/**
 * Computes the mean and variance of groups of channels.
 *
 * @param data [channels, rows, width].
 * @param groups Number of groups.
 */
export function mapStatistics(data: Float32Array, groups: number): GroupStatistics {
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
