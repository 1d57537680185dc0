/**
 * Samples the memory of this process and of its children while they run stages. On Linux only: other systems
 * do not tell the memory of another process.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { pid, platform } from "node:process";
import type { Readable, Writable } from "node:stream";
import { moduleCommand } from "../graph/hosts/module_command.ts";
import { heldFlags, PROJECT } from "../permissions/permission_sets.ts";

/** Memory at one moment, in bytes. */
export interface TimedMemory {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly resident: number;
  readonly gpu?: number | undefined;
}

/** A program that samples memory until it is stopped. */
export class MemorySampler {
  readonly #child: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };
  #text = "";

  /**
   * Starts sampling, and returns when the first sample is there. Returns `undefined` if the system does not
   * support it, or does not let this program start another one.
   *
   * @param gpu The number of the GPU, if stages run on one.
   */
  static async start(gpu?: number): Promise<MemorySampler | undefined> {
    if (platform !== "linux") return undefined;
    try {
      const sampler = new MemorySampler(gpu);
      await Promise.race([once(sampler.#child.stdout, "data"), once(sampler.#child, "close")]);
      return sampler;
    } catch {
      return undefined;
    }
  }

  private constructor(gpu: number | undefined) {
    const module = new URL("./memory_sampler_main.ts", import.meta.url);
    const numbers = gpu === undefined ? [pid] : [pid, gpu];
    const { program, args, env } = moduleCommand(
      module,
      numbers.map(String),
      () => heldFlags("stage", { paths: [PROJECT], network: false }),
    );
    this.#child = spawn(program, args, { env, stdio: ["pipe", "pipe", "ignore"] });
    this.#child.stdout.setEncoding("utf8").on("data", (chunk: string) => this.#text += chunk);
  }

  /** Stops sampling, and returns all samples. */
  async stop(): Promise<readonly TimedMemory[]> {
    const closed = once(this.#child, "close");
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await closed;
    return this.#text.split("\n").filter((line) => line !== "").map((line) => {
      const [time = 0, resident = 0, gpu] = line.split(" ").map(Number);
      return { time, resident, gpu };
    });
  }
}
