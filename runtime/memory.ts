/**
 * Memory figures of this process: resident memory, its part of mapped weights, and the peak.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { memoryUsage, platform, resourceUsage } from "node:process";
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
  const status = kernelStatus();
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

/** Reads what Linux tells of this process. Deno lets a program read it only if it grants everything. */
function kernelStatus(): string | undefined {
  if (platform !== "linux") return undefined;
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return undefined;
  }
}

/**
 * Returns the resident memory of another process on this machine.
 *
 * @param pid Id of the process.
 * @returns Bytes, or `undefined` if the process has ended or the system is not Linux.
 */
export function residentBytesOf(pid: number): number | undefined {
  if (platform !== "linux") return undefined;
  try {
    const [, kilobytes] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
  } catch {
    return undefined;
  }
}

/**
 * Restarts the peak from the memory that is resident now.
 *
 * @returns Whether the system supports it: on Linux, unless a sandbox forbids it.
 */
export function resetPeakMemory(): boolean {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
    return true;
  } catch {
    return false;
  }
}
