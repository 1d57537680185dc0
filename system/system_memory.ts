/**
 * The memory of this machine, and the limits that the system sets for this process.
 *
 * @module
 */

import { totalmem } from "node:os";
import { join } from "node:path";
import { availableMemory, platform } from "node:process";
import { readKernelFile } from "./kernel.ts";

/** Memory in bytes. */
export interface SystemMemory {
  /** The memory of the machine. */
  readonly total: number;
  /** The memory that this process can still take, within its control group. */
  readonly available: number;
  /** The limit of the control group, if there is one: that of a container or a service. */
  readonly groupLimit?: number | undefined;
  /** The limit of the address space (`ulimit -v`), if there is one. */
  readonly addressSpaceLimit?: number | undefined;
}

/** A control group's files of either version of the kernel's interface. */
interface GroupFiles {
  readonly mount: string;
  readonly limit: string;
  readonly usage: string;
  readonly inactive: string;
}

const FIRST_VERSION: GroupFiles = {
  mount: "/sys/fs/cgroup/memory",
  limit: "memory.limit_in_bytes",
  usage: "memory.usage_in_bytes",
  inactive: "total_inactive_file",
};

const SECOND_VERSION: GroupFiles = {
  mount: "/sys/fs/cgroup",
  limit: "memory.max",
  usage: "memory.current",
  inactive: "inactive_file",
};

/**
 * Returns the memory of this machine and the limits of this process. The limits are known on Linux only.
 *
 * @example Usage
 * ```ts
 * import { systemMemory } from "./system_memory.ts";
 * import assert from "node:assert/strict";
 * const { total, available } = systemMemory();
 * assert(0 < available && available <= total);
 * ```
 */
export function systemMemory(): SystemMemory {
  const total = totalmem();
  const available = Math.min(total, availableMemory());
  if (platform !== "linux") return { total, available };
  const groups = controlGroups();
  const limits = groups.map(({ limit }) => limit).filter((limit) => limit < total);
  const left = groups.map(({ limit, used }) => Math.max(0, limit - used));
  return {
    total,
    available: Math.min(available, ...left),
    groupLimit: limits.length === 0 ? undefined : Math.min(...limits),
    addressSpaceLimit: addressSpaceLimit(),
  };
}

/** Returns the limits and the usage of the process's control group and of the groups around it. */
function controlGroups(): { readonly limit: number; readonly used: number }[] {
  const lines = (read("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
  return lines.flatMap(([, controllers = "", path = ""]) => {
    if (controllers.split(",").includes("memory")) return groupsAlong(FIRST_VERSION, path);
    return controllers === "" && path !== "" ? groupsAlong(SECOND_VERSION, path) : [];
  });
}

function groupsAlong(files: GroupFiles, path: string): { readonly limit: number; readonly used: number }[] {
  const names = path.split("/").filter((name) => name !== "");
  return Array.from({ length: names.length + 1 }, (_, depth) => {
    const folder = join(files.mount, ...names.slice(0, depth));
    const limit = Number(read(join(folder, files.limit)));
    const inactive = new RegExp(`^${files.inactive} (\\d+)$`, "m").exec(
      read(join(folder, "memory.stat")) ?? "",
    );
    // The system drops cached files before it denies memory to a process.
    const used = Number(read(join(folder, files.usage))) - Number(inactive?.[1] ?? 0);
    return { limit, used };
  }).filter(({ limit, used }) => limit > 0 && Number.isFinite(limit) && Number.isFinite(used));
}

function addressSpaceLimit(): number | undefined {
  const [, bytes] = /^Max address space\s+(\d+)/m.exec(read("/proc/self/limits") ?? "") ?? [];
  return bytes === undefined ? undefined : Number(bytes);
}

/** Reads a file of the kernel, or returns `undefined` if it does not exist. */
function read(path: string): string | undefined {
  try {
    return readKernelFile(path).trim();
  } catch {
    return undefined;
  }
}
