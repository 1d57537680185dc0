/**
 * A run to draw.
 *
 * @module
 */

import type { RunTimeline } from "../../charts/memory_timeline.ts";

/** A run on a GPU, with a name that must be escaped in markup. */
export const GPU_RUN: RunTimeline = {
  title: "PixArt-XL-2-1024-MS, 1024 × 1024, 20 steps",
  subtitle: "peak 3.1 GB, predicted 3.4 GB",
  spans: [
    {
      node: "a <b> & c",
      stage: "encode",
      start: 0.1,
      end: 3,
      peak: 1.2e9,
      predictedPeak: 1.1e9,
      gpuPeak: 1e9,
    },
    {
      node: "denoise",
      stage: "denoise",
      start: 3,
      end: 80,
      peak: 2.2e9,
      gpuPeak: 3.9e9,
      predictedGpuPeak: 4e9,
    },
    { node: "decode", stage: "decode", start: 80, end: 81, peak: 3.1e9, predictedPeak: 3.4e9 },
  ],
  samples: Array.from({ length: 1620 }, (_, index) => ({
    seconds: index / 20,
    resident: 1e9 + 2.1e9 * Math.abs(Math.sin(index / 300)),
    gpu: index < 1600 ? 3.9e9 * Math.min(1, index / 900) : 1e9,
  })),
  steps: Array.from({ length: 20 }, (_, index) => 3 + 3.8 * index),
};
