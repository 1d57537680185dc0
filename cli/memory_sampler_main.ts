/**
 * The program that samples the memory of another process, and prints one line for each sample: the
 * milliseconds since 1970, resident bytes, and bytes on the GPU if known. It ends with its standard input. It
 * is a process of its own, because a stage blocks the thread that runs it.
 *
 * @module
 */

import process, { pid, stdin, stdout } from "node:process";
import { listKernelFolder, readKernelFile } from "../system/kernel.ts";
import { GpuMemory } from "../runtime/gpu_memory.ts";
import { residentBytesOf } from "../runtime/memory.ts";

const INTERVAL_MS = 50;

const parent = Number(process.argv[2]);
const gpu = process.argv[3] === undefined
  ? undefined
  : new GpuMemory({ index: Number(process.argv[3]), processId: parent });

stdin.resume();
stdin.on("end", () => process.exit());
setInterval(sample, INTERVAL_MS);
sample();

function sample(): void {
  const bytes = residentBytesOf(parent);
  if (bytes === undefined) process.exit();
  const all = descendants(parent).reduce((sum, child) => sum + (residentBytesOf(child) ?? 0), bytes);
  const onGpu = gpu?.peak;
  gpu?.reset();
  stdout.write([Date.now(), all, ...(onGpu === undefined ? [] : [onGpu])].join(" ") + "\n");
}

/** Returns all descendants of a process except this program. */
function descendants(parent: number): number[] {
  const children = threads(parent).flatMap((thread) =>
    read(`/proc/${parent}/task/${thread}/children`).split(" ").filter((id) => id !== "").map(Number)
  ).filter((child) => child !== pid);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function threads(process: number): readonly string[] {
  try {
    return listKernelFolder(`/proc/${process}/task`);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readKernelFile(path).trim();
  } catch {
    return "";
  }
}
