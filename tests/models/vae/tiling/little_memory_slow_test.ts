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
  readonly fallbacks: readonly string[];
  readonly error?: string;
}

/** Decodes in a process whose data the system lets grow by `extraBytes` while it decodes. */
async function decodeWithin(checkpoint: string, picture: string, extraBytes?: number): Promise<Outcome> {
  const args = ["run", "-A", "--no-check", MAIN, checkpoint, picture, String(SIDE)];
  if (extraBytes !== undefined) args.push(String(extraBytes));
  for (let attempt = 1;; attempt++) {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    const fault = new TextDecoder().decode(stderr);
    // Occasionally, Deno 2.9.6 itself is the first to ask for memory that is not there, and ends the process:
    // V8 for its heap or for a buffer, or Deno for a thread.
    if (attempt < TRIES && /Deno could not start|Fatal \w+ out of memory/.test(fault)) continue;
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

      // The memory that decoding needs varies between runs, so lower the limit until it takes effect.
      const within = (bytes: number) => decodeWithin(checkpoint, join(folder, "strips"), bytes);
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

      const hopeless = await firstOf([30e6, 20e6], within, ({ error }) => error !== undefined);
      assert.match(hopeless.error!, /OutOfMemoryError: Cannot decode the picture because memory ran out/);
      assert.match(hopeless.error!, /make a smaller picture/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
}));
