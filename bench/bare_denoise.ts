/**
 * Denoises with the embedded model in a process that does nothing else: no queue, no store on disk. The rate
 * of several such processes is what the hardware allows several workers.
 *
 * As a program, it denoises once for each line on its standard input, and answers each with a line.
 *
 *     deno run -A bench/bare_denoise.ts THREADS STEPS
 *
 * @module
 */

import { createInterface, type Interface } from "node:readline";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import { runGraph } from "../graph/run.ts";
import { localRun } from "../local.ts";

/** Nodes that encode a prompt, which a store does once, and denoise with a seed. */
export function denoiseNodes(seed: number, steps: number): Record<string, object> {
  const model = "pixstage-emoji";
  return {
    prompt: { stage: "encode", parameters: { model, prompts: ["cute cat"] } },
    latents: {
      stage: "denoise",
      parameters: { model, seeds: [String(seed)], steps, guidanceScale: 1 },
      inputs: { embeddings: "prompt.embeddings" },
    },
  };
}

/** A process that denoises when it is told to. */
export class BareProcess {
  #child: ChildProcessByStdio<Writable, Readable, null>;
  #lines: Interface;

  /** Starts it with a number of threads per operation, and of steps per run. */
  constructor(threads: number, steps: number) {
    const args = ["run", "-A", "--no-check", fileURLToPath(import.meta.url), String(threads), String(steps)];
    this.#child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /** Denoises once. */
  async denoise(): Promise<void> {
    const answer = once(this.#lines, "line");
    this.#child.stdin.write("\n");
    await answer;
  }

  /** Ends it. */
  async end(): Promise<void> {
    this.#child.stdin.end();
    await once(this.#child, "exit");
  }
}

if (import.meta.main) {
  const [threads, steps] = process.argv.slice(2).map(Number);
  const options = { ...localRun({ threads: threads!, store: new MemoryStore() }), snapshots: false as const };
  let seed = 0;
  for await (const _ of createInterface({ input: process.stdin })) {
    await runGraph({ pixstage: 1, nodes: denoiseNodes(++seed, steps!) }, options);
    process.stdout.write("done\n");
  }
}
