/**
 * Memory figures of this process: resident memory, its part of mapped weights, and the peak.
 *
 * @module
 */

import { memoryUsage, platform, resourceUsage } from "node:process";
import { readKernelFile, writeKernelFile } from "../system/kernel.ts";
import type { MemoryFigures } from "./runtime.ts";

/**
 * Returns the memory of this process in bytes. Linux reports all figures, other systems only the resident
 * size and its peak since the start.
 *
 * @returns The figures. `anonymous`, `file` and a peak that {@linkcode resetPeakMemory} resets are only known
 * on Linux.
 *
 * @example Usage
 * ```ts
 * import { memoryFigures } from "./memory.ts";
 * import assert from "node:assert/strict";
 * assert(memoryFigures().resident > 0);
 * ```
 */
export function memoryFigures(): MemoryFigures {
  const status = platform === "linux" ? statusOf("self") : undefined;
  if (status === undefined) return { resident: memoryUsage.rss(), peak: resourceUsage().maxRSS * 1024 };
  const bytes = (key: string): number =>
    1024 * Number(status.match(new RegExp(`^${key}:\\s*(\\d+) kB$`, "m"))?.[1] ?? 0);
  return {
    resident: bytes("VmRSS"),
    anonymous: bytes("RssAnon"),
    file: bytes("RssFile"),
    peak: bytes("VmHWM"),
  };
}

/**
 * Returns the resident memory of another process on this machine.
 *
 * @param pid Id of the process.
 * @returns Bytes, or `undefined` if the process has ended or the system is not Linux.
 */
export function residentBytesOf(pid: number): number | undefined {
  if (platform !== "linux") return undefined;
  const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(statusOf(pid) ?? "") ?? [];
  return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
}

/**
 * Restarts the peak from the memory that is resident now.
 *
 * @returns Whether the system supports it: on Linux, unless a sandbox forbids it.
 */
export function resetPeakMemory(): boolean {
  try {
    writeKernelFile("/proc/self/clear_refs", "5");
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns what the kernel reports about a process, or `undefined` if it has ended or Deno does not permit it.
 */
function statusOf(process: number | "self"): string | undefined {
  try {
    return readKernelFile(`/proc/${process}/status`);
  } catch {
    return undefined;
  }
}
