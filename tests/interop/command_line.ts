/**
 * The command line of both comparisons, and the source of their references.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { referenceLines, savedLines } from "./reference_process.ts";
import { print } from "./tally.ts";

const schema = z.object({
  python: z.string().min(1, "must name an interpreter that has diffusers: give --python, or set $PYTHON"),
  seed: z.coerce.number().int().min(0),
  count: z.coerce.number().int().min(1),
  from: z.string().optional(),
  only: z.string().optional(),
});

/** The two tasks of the Python side of a comparison. */
export interface ReferenceSource {
  /** Draws runs, and yields each with its results. */
  readonly draw: () => AsyncGenerator<string>;
  /** Measures the noise floor of earlier runs, in order. */
  readonly floors: (subjects: readonly unknown[]) => AsyncGenerator<string>;
}

/**
 * Returns the Python side of a comparison, according to the command line.
 *
 * @param script The script's name in this folder.
 * @param count Default number of runs.
 * @param more Further arguments of the script.
 */
export function referenceOf(script: string, count: number, more: readonly string[] = []): ReferenceSource {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      python: { type: "string", default: Deno.env.get("PYTHON") ?? "" },
      seed: { type: "string", default: String(crypto.getRandomValues(new Uint32Array(1))[0]) },
      count: { type: "string", default: String(count) },
      from: { type: "string" },
      only: { type: "string" },
    },
  });
  const { python, seed, count: drawn, from, only } = schema.parse(values);
  const run = (...rest: string[]): AsyncGenerator<string> =>
    referenceLines({ python, script, arguments: [...rest, ...more] });
  return {
    draw() {
      if (from !== undefined) return savedLines(from);
      print(`--seed ${seed} --count ${drawn} draws the same`);
      return run(
        "--seed",
        String(seed),
        "--count",
        String(drawn),
        ...(only === undefined ? [] : ["--only", only]),
      );
    },
    async *floors(subjects) {
      const path = await Deno.makeTempFile();
      try {
        await Deno.writeTextFile(path, subjects.map((subject) => `${JSON.stringify(subject)}\n`).join(""));
        yield* run("--floors", path);
      } finally {
        await Deno.remove(path);
      }
    },
  };
}
