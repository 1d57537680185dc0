// This module is browser compatible.

import type { MemoryChoice } from "../memory.ts";
import type { LowRankBranch } from "./branch.ts";

/** Bytes per value in a graph's computation. */
const FLOAT32_BYTES = 4;
/** Matches the layer of a module: everything up to the first number in its name. */
const LAYER = /^.*?\.\d+(?=\.)/;

/**
 * Adds the memory of branches to each way to run a model. Branches are kept in float32 as long as the model's
 * own weights; if weights stream, one layer at a time.
 *
 * @param choices The ways to run the model without branches.
 * @param branches The branches of each module.
 * @returns The ways to run the model with branches.
 */
export function withBranches(
  choices: readonly MemoryChoice[],
  branches: ReadonlyMap<string, readonly LowRankBranch[]>,
): MemoryChoice[] {
  const layers = new Map<string, number>();
  let stored = 0;
  for (const [module, each] of branches) {
    const layer = LAYER.exec(module)?.[0] ?? "";
    for (const { down, up } of each) {
      const values = [down, up].map(({ shape }) => shape.reduce((product, size) => product * size, 1));
      layers.set(layer, (layers.get(layer) ?? 0) + FLOAT32_BYTES * (values[0]! + values[1]!));
      stored += down.length + up.length;
    }
  }
  const all = [...layers.values()].reduce((sum, bytes) => sum + bytes, 0);
  const largest = Math.max(0, ...layers.values());
  return choices.map((choice) => {
    const held = choice.residency === "stream" ? largest : all;
    const kept = choice.residency === "resident" ? all : 0;
    return {
      ...choice,
      weightBytes: choice.weightBytes + stored,
      peakBytes: choice.peakBytes + held,
      heldBytes: choice.heldBytes + kept,
      ...(choice.gpuPeakBytes === undefined ? {} : { gpuPeakBytes: choice.gpuPeakBytes + held }),
      ...(choice.heldGpuBytes === undefined ? {} : { heldGpuBytes: choice.heldGpuBytes + kept }),
    };
  });
}
