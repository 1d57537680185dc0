/**
 * Memory of this process on NVIDIA GPUs, as the driver's own tool samples it. For other GPUs it is unknown.
 *
 * @module
 */

import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process, { pid } from "node:process";
import { type Device, deviceTraits, providerOf } from "./device.ts";

/** The driver's own tool. */
const TOOL = "nvidia-smi";
const MEBIBYTE = 2 ** 20;
/** Sampling interval. Steps with peak memory take longer than this. */
const INTERVAL_MS = 100;
const FORMAT = "--format=csv,noheader,nounits";
/** Assumed free memory of GPUs by other makers than NVIDIA, which do not report it. */
const UNKNOWN_FREE_BYTES = 8e9;
/** Share of the free memory that a run may be predicted to need, because predictions are within 10 %. */
const USABLE_SHARE = 0.9;
/**
 * The queries: one line per process, and one line per GPU. Each has the time, so the lines of one sample can
 * be added up.
 */
const QUERIES = {
  processes: "--query-compute-apps=timestamp,pid,used_memory",
  gpus: "--query-gpu=timestamp,index,memory.used",
} as const;
/**
 * Samples until its standard input closes, which happens however the process that started it ends. The two
 * outputs are file descriptors 1 and 3.
 */
const SAMPLER = `"$0" "$@" ${QUERIES.processes} ${FORMAT} -lms ${INTERVAL_MS} & first=$!
"$0" "$@" ${QUERIES.gpus} ${FORMAT} -lms ${INTERVAL_MS} >&3 & second=$!
cat >/dev/null
kill $first $second`;

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
  readonly #samples: Record<keyof typeof QUERIES, Samples> | undefined;

  /**
   * Starts sampling. Call it before anything is on the GPU.
   *
   * @param options The driver's tool, the GPU to sample, and the process whose memory counts. Default is all
   * GPUs, and this process.
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
    // Windows has no shell that would end the sampler together with this process.
    if (this.#before !== undefined && process.platform !== "win32") {
      this.#samples = startSampling(tool, only, processId);
    }
  }

  /** Peak in bytes since the last reset, or `undefined` if it is unknown. */
  get peak(): number | undefined {
    if (this.#before === undefined || this.#samples === undefined) return undefined;
    const { processes, gpus } = this.#samples;
    processes.read();
    gpus.read();
    return processes.peak ?? (gpus.peak === undefined ? undefined : Math.max(0, gpus.peak - this.#before));
  }

  /** Resets the peak. */
  reset(): void {
    this.#samples?.processes.reset();
    this.#samples?.gpus.reset();
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

/** A growing file of lines `timestamp, number, mebibytes`. */
class Samples {
  readonly #file: number;
  readonly #wanted: (number: number) => boolean;
  #rest = "";
  #last: { readonly time: string; readonly bytes: number } | undefined;
  /** Largest sample since the last reset, in bytes. */
  peak: number | undefined;

  constructor(file: number, wanted: (number: number) => boolean = () => true) {
    this.#file = file;
    this.#wanted = wanted;
  }

  /** Resets the peak to the current memory. */
  reset(): void {
    this.read();
    this.peak = this.#last?.bytes;
  }

  /** Reads the lines that were written since the last call. */
  read(): void {
    for (const line of this.#newLines()) {
      const [time = "", ...fields] = line.split(",");
      const [number = NaN, mebibytes = NaN] = fields.map(Number);
      if (!Number.isFinite(mebibytes) || !this.#wanted(number)) continue;
      const before = this.#last?.time === time ? this.#last.bytes : 0;
      this.#last = { time, bytes: before + mebibytes * MEBIBYTE };
      this.peak = Math.max(this.peak ?? 0, this.#last.bytes);
    }
  }

  #newLines(): string[] {
    const buffer = new Uint8Array(1 << 16);
    for (let count = readSync(this.#file, buffer); count > 0; count = readSync(this.#file, buffer)) {
      this.#rest += new TextDecoder().decode(buffer.subarray(0, count));
    }
    const lines = this.#rest.split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }
}

function startSampling(
  tool: string,
  only: readonly string[],
  processId: number,
): Record<keyof typeof QUERIES, Samples> {
  const folder = mkdtempSync(join(tmpdir(), "pixstage-gpu-"));
  const names = ["processes", "gpus"].map((name) => join(folder, name)) as [string, string];
  const written = names.map((name) => openSync(name, "a"));
  const sampler = spawn("sh", ["-c", SAMPLER, tool, ...only], {
    stdio: ["pipe", written[0], "ignore", written[1]],
  });
  sampler.unref();
  const processes = new Samples(openSync(names[0], "r"), (process) => process === processId);
  const gpus = new Samples(openSync(names[1], "r"));
  for (const file of written) closeSync(file);
  // Open files outlive their names, and leave nothing behind however this process ends.
  rmSync(folder, { recursive: true });
  return { processes, gpus };
}

/** Selects one GPU. CUDA counts those in CUDA_VISIBLE_DEVICES, the driver's tool all of them. */
function onlyGpu(index: number | undefined): string[] {
  if (index === undefined) return [];
  const visible = process.env["CUDA_VISIBLE_DEVICES"]?.split(",")[index]?.trim();
  return [`--id=${visible || index}`];
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
