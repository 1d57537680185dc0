/**
 * Watches the server of the soak: its answers, its memory and its processor time.
 *
 * @module
 */

import type { ServerProcess } from "../tests/server/server_process.ts";
import type { Phase } from "./soak_account.ts";

/** Seconds that `/healthz` can take before the server counts as dead. */
const DEAD_S = 30;

/** Number of moments between two readings of memory, at one moment per second. */
const MEMORY_EVERY = 5;

/** Clock ticks per second in `/proc`, which Linux fixes at 100. */
const TICKS = 100;

/** Resident bytes of the server's process, and of the processes that run its stages. */
export interface Resident {
  readonly server: number;
  readonly hosts: number;
}

/** Resident bytes and clock ticks of a process. */
interface Process {
  readonly pid: number;
  readonly resident: number;
  readonly ticks: number;
}

/** Resident memory at a moment. */
interface Moment extends Resident {
  readonly phase: Phase;
}

/** Watches a server. */
export class Watch {
  /** The longest response time of `/healthz`, in milliseconds. */
  longestHealth = 0;
  /** The longest delay of the event loop, and the largest processor time during one, in seconds. */
  longestLag = 0;
  longestBusy = 0;
  #server: ServerProcess;
  #fault: (message: string) => void;
  #underWay = new Set<Promise<void>>();
  #ticks = 0;
  #moments: Moment[] = [];
  /** Clock ticks of each process, including those that have ended. */
  #ticksOf = new Map<number, number>();
  #metrics = "";

  /**
   * @param server The server.
   * @param fault Receives each fault.
   */
  constructor(server: ServerProcess, fault: (message: string) => void) {
    this.#server = server;
    this.#fault = fault;
  }

  /** Checks the server; called once a second. */
  tick(phase: Phase): void {
    this.#begin(this.#health());
    if (this.#ticks++ % MEMORY_EVERY === 0) this.#begin(this.#look(phase));
  }

  /** Waits for all answers. */
  async rest(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Processor seconds of the server and of the processes that run its stages. */
  get processorSeconds(): number {
    return this.#ticksOf.values().reduce((sum, ticks) => sum + ticks, 0) / TICKS;
  }

  /** Returns the sum of a counter over all its labels. */
  total(name: string): number {
    return this.#metrics.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)`, "gm"))
      .reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /**
   * Returns resident memory at the start, before the disk was full and at the end: means over a quarter of
   * the number of moments before the disk was full.
   */
  memory(): { start: Resident; third: Resident; end: Resident; growth: number } {
    const before = this.#moments.filter(({ phase }) => phase === "before");
    const after = this.#moments.filter(({ phase }) => phase === "after");
    const some = Math.ceil(before.length / 4);
    const [start, third, end] = [before.slice(0, some), before.slice(-some), after.slice(-some)].map(mean);
    const all = ({ server, hosts }: Resident): number => server + hosts;
    return { start: start!, third: third!, end: end!, growth: all(end!) - all(third!) };
  }

  #begin(work: Promise<void>): void {
    const caught = work.catch((error: unknown) => this.#fault(`The server does not answer: ${error}`))
      .finally(() => this.#underWay.delete(caught));
    this.#underWay.add(caught);
  }

  async #health(): Promise<void> {
    const begun = performance.now();
    const reply = await fetch(`${this.#server.url}/healthz`, { signal: AbortSignal.timeout(DEAD_S * 1000) });
    const text = await reply.text();
    this.longestHealth = Math.max(this.longestHealth, performance.now() - begun);
    if (reply.status !== 200) this.#fault(`/healthz answered ${reply.status}: ${text}`);
  }

  async #look(phase: Phase): Promise<void> {
    this.#metrics = await (await fetch(`${this.#server.url}/metrics`)).text();
    const lag = this.total("pixstage_event_loop_lag_max_seconds");
    // The first reading includes the start of the server.
    if (this.#moments.length > 0) this.longestLag = Math.max(this.longestLag, lag);
    this.longestBusy = Math.max(this.longestBusy, this.total("pixstage_event_loop_busy_max_seconds"));
    const hosts = await this.#hosts();
    this.#moments.push({
      phase,
      server: this.total("process_resident_memory_bytes"),
      hosts: hosts.reduce((sum, { resident }) => sum + resident, 0),
    });
    for (const { pid, ticks } of [await stat(this.#server.pid), ...hosts]) this.#ticksOf.set(pid, ticks);
  }

  /** Returns the processes that run the server's stages. */
  async #hosts(): Promise<Process[]> {
    const { pid } = this.#server;
    // Linux lists children by the thread that started them.
    const threads = await Array.fromAsync(Deno.readDir(`/proc/${pid}/task`), ({ name }) => name);
    const lists = await Promise.all(
      threads.map((thread) => Deno.readTextFile(`/proc/${pid}/task/${thread}/children`).catch(() => "")),
    );
    const ids = lists.join(" ").split(" ").filter((id) => id !== "").map(Number);
    const found = await Promise.allSettled(ids.map(stat));
    return found.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
  }
}

/** Reads the system's statistics of a process. */
async function stat(pid: number): Promise<Process> {
  const text = await Deno.readTextFile(`/proc/${pid}/stat`);
  // The fields after the name, which can contain spaces; `man 5 proc` counts them from 3.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  const field = (number: number): number => fields[number - 3]!;
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  return { pid, resident, ticks: field(14) + field(15) };
}

function mean(moments: readonly Resident[]): Resident {
  const of = (value: (moment: Resident) => number): number =>
    moments.reduce((sum, moment) => sum + value(moment), 0) / moments.length;
  return { server: of(({ server }) => server), hosts: of(({ hosts }) => hosts) };
}
