// This module is browser compatible.

/** A figure that has not been sampled. */
export const UNKNOWN = -1;

/**
 * Indices of the figures, in MiB, that the thread of `gpu_sampler.ts` shares with the one that started it.
 */
export const GPU_SAMPLES = { processes: { peak: 0, now: 1 }, gpus: { peak: 2, now: 3 } } as const;

/** What the thread needs to sample. */
export interface GpuSamplerData {
  /** The figures, in shared memory. */
  readonly samples: Int32Array;
  /** The driver's tool. */
  readonly tool: string;
  /** Id of the process to sample. */
  readonly pid: number;
  /** Arguments of the tool beside the query. */
  readonly arguments: readonly string[];
}
