import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSyntheticCheckpoint } from "../../../../models/synthetic/write_checkpoint.ts";
import { LINUX, needing } from "../../../needing.ts";

const MAIN = fileURLToPath(new URL("./little_memory_main.ts", import.meta.url));
/**
 * Side of the picture. The tiny synthetic checkpoint's decoder needs about 0.24 GB in one piece at this size,
 * and less than 0.2 GB in strips.
 */
const SIDE = 1152;
/** Maximum number of attempts to start a process. */
const TRIES = 5;

interface Outcome {
  /** Memory that counts towards the limit, measured before decoding. */
  readonly dataBytes: number;
  readonly fallbacks: readonly string[];
  readonly error?: string;
}

/** Decodes in a process whose data the system limits to `limitBytes`. */
async function decodeWithin(
  checkpoint: string,
  picture: string,
  limitBytes?: number,
): Promise<Outcome> {
  const limit = limitBytes === undefined ? "unlimited" : String(Math.round(limitBytes / 1024));
  const script = 'ulimit -d "$1"; shift; exec "$@"';
  const args = [Deno.execPath(), "run", "-A", "--no-check", MAIN, checkpoint, picture, String(SIDE)];
  for (let attempt = 1;; attempt++) {
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", script, "sh", limit, ...args],
    }).output();
    const fault = new TextDecoder().decode(stderr);
    // Occasionally, threads of Deno 2.9.6 itself reach the limit before the first line runs.
    if (attempt < TRIES && fault.includes("Deno could not start")) continue;
    assert.equal(code, 0, fault);
    return JSON.parse(new TextDecoder().decode(stdout));
  }
}

/** Returns the first outcome that `isWanted` accepts. */
async function firstOf(
  limits: readonly number[],
  run: (limit: number) => Promise<Outcome>,
  isWanted: (outcome: Outcome) => boolean,
): Promise<Outcome> {
  for (const limit of limits) {
    const outcome = await run(limit);
    if (isWanted(outcome)) return outcome;
  }
  throw new Error(`None of the limits ${limits} (in bytes) took effect`);
}

async function readFloats(path: string): Promise<Float32Array> {
  return new Float32Array((await Deno.readFile(path)).buffer);
}

Deno.test(needing(LINUX, {
  name:
    "when memory runs out, a picture is decoded in strips, and if that fails too, the error says what would help",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const checkpoint = join(folder, "tiny");
      await writeSyntheticCheckpoint(checkpoint, { preset: "tiny" });
      const roomy = await decodeWithin(checkpoint, join(folder, "whole"));
      assert.deepEqual([roomy.fallbacks, roomy.error], [[], undefined]);

      // The memory of a process before decoding varies between runs, so lower the limit until it takes
      // effect.
      const within = (bytes: number) =>
        decodeWithin(checkpoint, join(folder, "strips"), roomy.dataBytes + bytes);
      const tight = await firstOf(
        [250e6, 240e6, 230e6, 220e6],
        within,
        ({ fallbacks }) => fallbacks.length > 0,
      );
      assert.equal(tight.error, undefined);
      assert.equal(tight.fallbacks.length, 1);
      assert.match(tight.fallbacks[0]!, /bad_alloc|allocate memory/);
      const [whole, strips] = [
        await readFloats(join(folder, "whole")),
        await readFloats(join(folder, "strips")),
      ];
      const largest = whole.reduce(
        (most, value, index) => Math.max(most, Math.abs(value - strips[index]!)),
        0,
      );
      assert(largest < 1e-4, `off by ${largest}`);

      const hopeless = await firstOf([150e6, 100e6, 50e6], within, ({ error }) => error !== undefined);
      assert.match(hopeless.error!, /OutOfMemoryError: Cannot decode the picture because memory ran out/);
      assert.match(hopeless.error!, /make a smaller picture/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
}));
