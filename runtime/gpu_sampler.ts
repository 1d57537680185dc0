/**
 * The module of a thread that samples GPU memory with the driver's own tool.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { workerData } from "node:worker_threads";
import { GPU_SAMPLES, type GpuSamplerData } from "./gpu_samples.ts";

/** Sampling interval. Steps with peak memory take longer than this. */
const INTERVAL_MS = 100;

/**
 * The queries: one line per process, and one line per GPU. Each has the time, so the lines of one sample can
 * be added up.
 */
const QUERIES = {
  processes: "--query-compute-apps=timestamp,pid,used_memory",
  gpus: "--query-gpu=timestamp,index,memory.used",
} as const;

const { samples, tool, pid, arguments: others }: GpuSamplerData = workerData;

sample("processes", (process) => process === pid);
sample("gpus", () => true);

/** Adds up the lines `timestamp, number, mebibytes` of each time. */
function sample(name: keyof typeof QUERIES, isWanted: (number: number) => boolean): void {
  const args = [QUERIES[name], ...others, "-lms", String(INTERVAL_MS)];
  const { stdout } = spawn(tool, args, { stdio: ["ignore", "pipe", "ignore"] }).on("error", () => {});
  const { peak, now } = GPU_SAMPLES[name];
  let last: string | undefined;
  createInterface(stdout).on("line", (line) => {
    const [time = "", ...fields] = line.split(",");
    const [number = NaN, mebibytes = NaN] = fields.map(Number);
    if (!Number.isFinite(mebibytes) || !isWanted(number)) return;
    const sum = (time === last ? Atomics.load(samples, now) : 0) + mebibytes;
    last = time;
    Atomics.store(samples, now, sum);
    Atomics.store(samples, peak, Math.max(Atomics.load(samples, peak), sum));
  });
}
