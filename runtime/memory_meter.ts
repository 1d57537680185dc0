/**
 * Measures a stage: its peak memory, the weights that were open, and the time to open them.
 *
 * @module
 */

import type { GpuMemory } from "./gpu_memory.ts";
import { memoryFigures, resetPeakMemory } from "./memory.ts";
import type { MemoryFigures } from "./runtime.ts";

/** Collects figures between two resets. */
export class MemoryMeter {
  readonly #gpu: GpuMemory | undefined;
  #processPeak = 0;
  #floor = 0;
  #peakAnonymous = 0;
  #peakFile = 0;
  #openBytes = 0;
  #peakOpenBytes = 0;
  #loadMs = 0;

  /** @param gpu The GPU's memory, if graphs run on one. */
  constructor(gpu?: GpuMemory) {
    this.#gpu = gpu;
  }

  /** Resets the figures. Weights that are open still count. */
  reset(): void {
    this.#processPeak = Math.max(this.#processPeak, memoryFigures().peak ?? 0);
    resetPeakMemory();
    this.#floor ||= memoryFigures().resident;
    this.#gpu?.reset();
    this.#peakAnonymous = 0;
    this.#peakFile = 0;
    this.#peakOpenBytes = this.#openBytes;
    this.#loadMs = 0;
  }

  /**
   * Returns the number of bytes by which the process has grown since the first reset, or since memory was
   * last released.
   */
  growth(): number {
    return memoryFigures().resident - this.#floor;
  }

  /** Records that memory was released. Growth counts from here. */
  gaveBack(): void {
    this.#floor = memoryFigures().resident;
  }

  /** Records that a graph was opened. */
  opened(weightBytes: number, ms: number): void {
    this.#openBytes += weightBytes;
    this.#peakOpenBytes = Math.max(this.#peakOpenBytes, this.#openBytes);
    this.#loadMs += ms;
  }

  /** Records that a graph was released. */
  released(weightBytes: number): void {
    this.#openBytes -= weightBytes;
  }

  /** Samples memory while a run's tensors and weights are still in use. */
  observe(): void {
    const { anonymous = 0, file = 0 } = memoryFigures();
    this.#peakAnonymous = Math.max(this.#peakAnonymous, anonymous);
    this.#peakFile = Math.max(this.#peakFile, file);
  }

  /** Returns the figures since the last reset. */
  figures(): MemoryFigures {
    const now = memoryFigures();
    const split = now.anonymous === undefined ? {} : {
      peakAnonymous: Math.max(this.#peakAnonymous, now.anonymous),
      peakFile: Math.max(this.#peakFile, now.file ?? 0),
    };
    return {
      ...now,
      ...split,
      ...(now.peak === undefined ? {} : { processPeak: Math.max(this.#processPeak, now.peak) }),
      ...(this.#gpu?.peak === undefined ? {} : { gpuPeak: this.#gpu.peak }),
      weightBytes: this.#peakOpenBytes,
      loadMs: this.#loadMs,
    };
  }
}
