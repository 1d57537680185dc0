/**
 * Memory figures of this process: what is resident, how much of that is mapped weights, and the peak.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import { memoryUsage, platform, resourceUsage } from "node:process";
import type { MemoryFigures } from "./runtime.ts";

/**
 * Memory of this process in bytes. Linux tells all of it; elsewhere the resident size and its peak since the start.
 *
 * @returns The figures. `anonymous`, `file` and a peak that {@linkcode resetPeakMemory} resets are known on Linux alone.
 *
 * @example Usage
 * ```ts
 * import { memoryFigures } from "./memory.ts";
 * import assert from "node:assert/strict";
 * assert(memoryFigures().resident > 0);
 * ```
 */
export function memoryFigures(): MemoryFigures {
  if (platform !== "linux") {
    return { resident: memoryUsage.rss(), peak: resourceUsage().maxRSS * 1024 };
  }
  const status = readFileSync("/proc/self/status", "utf8");
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
 * Resident memory of another process of this machine.
 *
 * @param pid The process.
 * @returns Bytes; `undefined` where it has ended, and on systems other than Linux.
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
 * Makes the peak start again from what is resident now.
 *
 * @returns Whether the system can do so: on Linux, unless a sandbox forbids it.
 */
export function resetPeakMemory(): boolean {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
    return true;
  } catch {
    return false;
  }
}
