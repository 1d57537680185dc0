/**
 * Runs the Python side of a comparison, and reads its output, one JSON value per line.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

/** Which script to run, and how. */
export interface ReferenceProcess {
  /** The Python interpreter. Its environment must contain diffusers. */
  readonly python: string;
  /** The script's name in this folder. */
  readonly script: string;
  /** Arguments of the script. */
  readonly arguments: readonly string[];
}

/**
 * Runs a script of this folder on one thread, and yields its lines.
 *
 * @throws {Error} if the script fails.
 */
export async function* referenceLines(
  { python, script, arguments: rest }: ReferenceProcess,
): AsyncGenerator<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(python, ["-B", path, ...rest], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...Deno.env.toObject(), OMP_NUM_THREADS: "1", HF_HUB_OFFLINE: "1" },
  });
  const ended = once(child, "close");
  try {
    yield* lines(child.stdout);
    const [status] = await ended;
    if (status !== 0) throw new Error(`${script} ended with status ${status}`);
  } finally {
    child.kill();
  }
}

/** Yields the lines of a file from an earlier run of a script. */
export async function* savedLines(path: string): AsyncGenerator<string> {
  yield* lines(createReadStream(path));
}

/** Unpacks numbers from the Python side: float64, little-endian, base64. */
export function unpack(base64: string): Float64Array {
  return new Float64Array(Uint8Array.fromBase64(base64).buffer);
}

async function* lines(input: Readable): AsyncGenerator<string> {
  yield* createInterface({ input, crlfDelay: Infinity });
}
