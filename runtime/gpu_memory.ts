/**
 * Memory of this process on NVIDIA GPUs, as the driver's own tool samples it. For other GPUs it is unknown.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import process, { pid } from "node:process";
import { Worker } from "node:worker_threads";
import { gpuName } from "./cuda_environment.ts";
import { type Device, deviceTraits, providerOf } from "./device.ts";
import { GPU_SAMPLES, type GpuSamplerData, UNKNOWN } from "./gpu_samples.ts";

/** The driver's own tool. */
const TOOL = "nvidia-smi";
const MEBIBYTE = 2 ** 20;
const FORMAT = "--format=csv,noheader,nounits";
/** Assumed free memory of GPUs by other makers than NVIDIA, which do not report it. */
const UNKNOWN_FREE_BYTES = 8e9;
/** Share of the free memory that a run may be predicted to need, because predictions are within 10 %. */
const USABLE_SHARE = 0.9;
/**
 * Samples the memory of this process in the background. If the driver does not know processes, as in a
 * container or for Vulkan, the figure is the increase of all GPUs' memory since the start, which is correct
 * if nothing else runs on them.
 */
export class GpuMemory {
  readonly #before: number | undefined;
  /**
   * Number of bytes that a run may be predicted to need: the memory that was free before anything was on the
   * GPU, minus a reserve.
   */
  readonly free: number;
  readonly #samples: Int32Array | undefined;

  /**
   * Starts sampling. Call it before anything is on the GPU.
   *
   * @param options The driver's tool, the GPU to sample, and the process whose memory counts. The default is
   * all GPUs and this process.
   */
  constructor(
    options: {
      readonly tool?: string;
      readonly index?: number | undefined;
      readonly processId?: number;
    } = {},
  ) {
    const { tool = TOOL, index, processId = pid } = options;
    const only = onlyGpu(index);
    const now = memoryNow(tool, only);
    this.#before = now?.used;
    this.free = usable(now);
    // On Windows, the tool would outlive this process.
    if (this.#before !== undefined && process.platform !== "win32") {
      this.#samples = startSampling(tool, only, processId);
    }
  }

  /** Whether the driver's tool knows the GPU. */
  get isKnown(): boolean {
    return this.#before !== undefined;
  }

  /** Peak in bytes since the last reset, or `undefined` if it is unknown. */
  get peak(): number | undefined {
    if (this.#before === undefined || this.#samples === undefined) return undefined;
    const processes = Atomics.load(this.#samples, GPU_SAMPLES.processes.peak);
    if (processes !== UNKNOWN) return processes * MEBIBYTE;
    const gpus = Atomics.load(this.#samples, GPU_SAMPLES.gpus.peak);
    return gpus === UNKNOWN ? undefined : Math.max(0, gpus * MEBIBYTE - this.#before);
  }

  /** Resets the peak. */
  reset(): void {
    if (this.#samples === undefined) return;
    for (const { peak, now } of Object.values(GPU_SAMPLES)) {
      Atomics.store(this.#samples, peak, Atomics.load(this.#samples, now));
    }
  }
}

/**
 * Returns the number of bytes of a device's memory that a run may be predicted to need: what is free now,
 * minus a reserve.
 *
 * @param device The device.
 * @returns The bytes; `undefined` for a CPU, and 7.2 GB if the driver does not report free memory.
 */
export function freeGpuMemory(device: Device): number | undefined {
  if (deviceTraits(device).hostMemory) return undefined;
  return usable(memoryNow(TOOL, onlyGpu(providerOf(device).index)));
}

/**
 * Samples in a thread, because the thread that runs graphs is blocked when memory is highest. The driver's
 * tool ends with this process, however that ends: it then writes to a pipe without a reader.
 */
function startSampling(tool: string, only: readonly string[], processId: number): Int32Array {
  const samples = new Int32Array(new SharedArrayBuffer(4 * Int32Array.BYTES_PER_ELEMENT)).fill(UNKNOWN);
  const workerData: GpuSamplerData = { samples, tool, pid: processId, arguments: [...only, FORMAT] };
  const sampler = new Worker(new URL("./gpu_sampler.ts", import.meta.url), { workerData });
  // Without samples, the peak is unknown, and the run continues.
  sampler.on("error", () => {});
  sampler.unref();
  return samples;
}

/** Selects one GPU. */
function onlyGpu(index: number | undefined): string[] {
  return index === undefined ? [] : [`--id=${gpuName(index)}`];
}

function usable(now: { readonly free: number } | undefined): number {
  return USABLE_SHARE * (now?.free ?? UNKNOWN_FREE_BYTES);
}

/**
 * Returns the bytes in use on all GPUs, and the free ones on the GPU that has most. `undefined` if there is
 * no such tool.
 */
function memoryNow(tool: string, only: readonly string[]): { used: number; free: number } | undefined {
  try {
    const answer = execFileSync(tool, [...only, "--query-gpu=memory.used,memory.free", FORMAT], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const gpus = answer.split("\n").filter((line) => line.trim() !== "").map((line) =>
      line.split(",").map((mebibytes) => Number(mebibytes) * MEBIBYTE)
    );
    if (gpus.length === 0 || !gpus.flat().every(Number.isFinite)) return undefined;
    return {
      used: gpus.reduce((sum, [used = 0]) => sum + used, 0),
      free: Math.max(...gpus.map(([, free = 0]) => free)),
    };
  } catch {
    return undefined;
  }
}
