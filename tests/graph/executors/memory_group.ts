/**
 * A group of processes whose memory the kernel limits. Only root on a Linux machine can make one. Elsewhere
 * the tests that need it are skipped, and say so.
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
   * Makes a group, with either version of the kernel's interface.
   *
   * @param limitBytes Maximum memory of all its processes together, without swap.
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

  /** Starts a command whose process joins the group before the command begins. */
  async start(
    [program, ...args]: readonly [string, ...string[]],
    options: Pick<Deno.CommandOptions, "cwd" | "env">,
  ): Promise<Deno.ChildProcess> {
    const process = new Deno.Command("sh", {
      ...options,
      args: ["-c", 'read -r go; exec "$0" "$@"', program, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.add(process.pid);
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("go\n"));
    await writer.close();
    return process;
  }

  /** Removes the group. Its processes must have ended. */
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
