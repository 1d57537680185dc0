/**
 * A group of processes that the kernel gives no more than so much memory. Only root of a Linux machine may make one;
 * elsewhere the tests that need it are left out, and say so.
 *
 * @module
 */

import { join } from "node:path";
import type { Need } from "../../needing.ts";

const ROOT = "/sys/fs/cgroup";

/** A control group with a limit. */
export class MemoryGroup implements Disposable {
  readonly #folder: string;

  /**
   * Makes a group, of either version of the kernel's interface.
   *
   * @param limitBytes What its processes may use all together; no swapping.
   */
  constructor(limitBytes: number) {
    const isFirstVersion = exists(join(ROOT, "memory", "memory.limit_in_bytes"));
    this.#folder = join(ROOT, ...(isFirstVersion ? ["memory"] : []), `pixstage-test-${crypto.randomUUID()}`);
    Deno.mkdirSync(this.#folder);
    const limits = isFirstVersion
      ? [["memory.limit_in_bytes", limitBytes], ["memory.swappiness", 0]] as const
      : [["memory.max", limitBytes], ["memory.swap.max", 0]] as const;
    for (const [file, value] of limits) Deno.writeTextFileSync(join(this.#folder, file), String(value));
  }

  /** Moves a process into the group. */
  add(pid: number): void {
    Deno.writeTextFileSync(join(this.#folder, "cgroup.procs"), String(pid));
  }

  /** Removes the group; its processes must have ended. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder);
  }
}

/** Groups whose memory the kernel limits. */
export const MEMORY_GROUPS: Need = {
  what: "root of a Linux machine, who may make control groups",
  isThere: Deno.build.os === "linux" && tryGroup(),
};

function tryGroup(): boolean {
  try {
    using _group = new MemoryGroup(1e9);
    return true;
  } catch {
    return false;
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
