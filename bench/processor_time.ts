/**
 * The processor time of this process, of what it started, and of all others on the machine. It reads `/proc`,
 * so it is empty on other systems than Linux.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** Clock ticks per second in `/proc`, which Linux fixes at 100. */
const TICKS = 100;

/** Processor seconds by use. */
export type ProcessorTime = Readonly<Record<"client" | "server" | "workers" | "stages" | "others", number>>;

/** The program of a process that runs stages without a worker. */
const BARE = "bare_denoise.ts";

/** A process in `/proc`. */
interface Process {
  readonly name: string;
  readonly command: string;
  readonly parent: number;
  readonly seconds: number;
}

/**
 * Returns the processor time up to now: of this process, which is the client of the queue; of the queue's
 * server; of the workers; of the processes that run stages; and of the rest of the machine.
 *
 * @returns The times, or undefined on other systems than Linux.
 */
export function processorTime(): ProcessorTime | undefined {
  if (process.platform !== "linux") return undefined;
  const processes = new Map(
    readdirSync("/proc").filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => readProcess(Number(pid)).map((found) => [Number(pid), found] as const)),
  );
  const times = { client: 0, server: 0, workers: 0, stages: 0 };
  for (const [pid, { name, command, parent, seconds }] of processes) {
    const use = pid === process.pid
      ? "client"
      : !isBelow(pid, processes)
      ? undefined
      : /^(?:redis|postgres)/.test(name)
      ? "server"
      : parent === process.pid && !command.includes(BARE)
      ? "workers"
      : "stages";
    if (use) times[use] += seconds;
  }
  const own = Object.values(times).reduce((sum, seconds) => sum + seconds, 0);
  return { ...times, others: busySeconds() - own };
}

/**
 * Describes the processor time of each job between two moments, and how many processors others had.
 *
 * @param before The times at the first moment.
 * @param after The times at the second one.
 * @param jobs The number of jobs between them.
 * @param seconds The time between them.
 */
export function describeProcessors(
  before: ProcessorTime,
  after: ProcessorTime,
  jobs: number,
  seconds: number,
): string {
  const spent = (use: keyof ProcessorTime): number => after[use] - before[use];
  const uses = ["stages", "workers", "server", "client"] as const;
  const parts = uses.map((use) => `${use} ${(spent(use) / jobs).toFixed(3)}`);
  return `processor seconds per job: ${parts.join(", ")}; others had ${
    (spent("others") / seconds).toFixed(2)
  } processors`;
}

/** Reads a process. A process that has just ended is absent. */
function readProcess(pid: number): Process[] {
  try {
    const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))!;
    const fields = rest!.split(" ").map(Number);
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return [{ name: name!, command, parent: fields[1]!, seconds: (fields[11]! + fields[12]!) / TICKS }];
  } catch {
    return [];
  }
}

/** Returns whether this process, or one that it started, started another process. */
function isBelow(pid: number, processes: ReadonlyMap<number, Process>): boolean {
  const { parent = 0 } = processes.get(pid) ?? {};
  return parent === process.pid || (parent > 0 && isBelow(parent, processes));
}

/** Processor seconds of the whole machine that were not idle. */
function busySeconds(): number {
  const [line] = readFileSync("/proc/stat", "utf8").split("\n");
  const [user, nice, system, , , irq, softirq] = line!.split(/ +/).slice(1).map(Number);
  return (user! + nice! + system! + irq! + softirq!) / TICKS;
}
