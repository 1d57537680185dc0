/**
 * Memory of this process on NVIDIA GPUs, as the driver's own tool tells it. Of other GPUs nothing is known.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import { pid } from "node:process";

const MEBIBYTE = 2 ** 20;
/** Asking starts a process: not more often than this. */
const INTERVAL_MS = 1000;

/** Asks a tool, given its arguments; throws where there is none. */
export type AskTool = (args: readonly string[]) => string;

/**
 * Looks at the memory of this process. Where the driver does not know processes, as in a container or for Vulkan, it is
 * what all GPUs hold more than at the beginning: true where nothing else runs on them.
 */
export class GpuMemory {
  readonly #ask: AskTool;
  #before: number | undefined;
  #askedAt = -Infinity;
  #now: number | undefined;
  #peak: number | undefined;

  /** Begins: call it before anything is on the GPU. */
  constructor(ask: AskTool = askNvidia) {
    this.#ask = ask;
    this.#before = this.#used();
  }

  /** Bytes at its largest since the last reset, as far as it was looked at; undefined where nothing is known. */
  get peak(): number | undefined {
    return this.#peak;
  }

  /** Lets the peak begin anew. */
  reset(): void {
    this.#peak = this.#now;
  }

  /** Looks at it, unless that was done just now. */
  observe(): void {
    if (this.#before === undefined || performance.now() - this.#askedAt < INTERVAL_MS) return;
    this.#now = this.#own() ?? this.#grown(this.#before);
    this.#askedAt = performance.now();
    if (this.#now !== undefined) this.#peak = Math.max(this.#peak ?? 0, this.#now);
  }

  #own(): number | undefined {
    const own = this.#lines("--query-compute-apps=pid,used_memory").filter(([process]) => process === pid);
    return own.length === 0 ? undefined : MEBIBYTE * own.reduce((sum, [, used = 0]) => sum + used, 0);
  }

  #grown(before: number): number | undefined {
    const used = this.#used();
    return used === undefined ? undefined : Math.max(0, used - before);
  }

  #used(): number | undefined {
    const gpus = this.#lines("--query-gpu=memory.used");
    return gpus.length === 0 ? undefined : MEBIBYTE * gpus.reduce((sum, [used = 0]) => sum + used, 0);
  }

  /** The numbers of each line that holds nothing else. */
  #lines(query: string): number[][] {
    let answer: string;
    try {
      answer = this.#ask([query, "--format=csv,noheader,nounits"]);
    } catch {
      return [];
    }
    return answer.split("\n").filter((line) => line.trim() !== "")
      .map((line) => line.split(",").map(Number)).filter((line) => line.every(Number.isFinite));
  }
}

function askNvidia(args: readonly string[]): string {
  return execFileSync("nvidia-smi", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}
