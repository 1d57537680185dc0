/**
 * What both comparisons take from the command line, and where their references come from.
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

/** The two things that the Python side of a comparison does. */
export interface ReferenceSource {
  /** Draws runs and gives each with its results. */
  readonly draw: () => AsyncGenerator<string>;
  /** Measures the noise floor of runs that were drawn before, in their order. */
  readonly floors: (subjects: readonly unknown[]) => AsyncGenerator<string>;
}

/**
 * The Python side of a comparison, as the command line asks for it.
 *
 * @param script Its name in this folder.
 * @param count How many runs are drawn where the command line does not say.
 * @param more What else the script is called with.
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
