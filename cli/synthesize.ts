/**
 * `synthesize`: writes a synthetic checkpoint with random weights.
 *
 * @module
 */

import { Command, Option } from "commander";
import { stderr, stdout } from "node:process";
import prettyBytes from "pretty-bytes";
import type { FloatDType } from "../artifacts/half_precision.ts";
import { syntheticPresetNames } from "../models/architectures.ts";
import { writeSyntheticCheckpoint } from "../models/synthetic/write_checkpoint.ts";
import { interruptSignal } from "./interrupt.ts";
import { writeLine } from "./standard_streams.ts";
import { userPath } from "./user_path.ts";

interface SynthesizeOptions {
  readonly dtype: FloatDType;
  readonly preset: string;
  readonly quiet?: boolean;
}

/** Creates the `synthesize` command. */
export function synthesizeCommand(): Command {
  return new Command("synthesize")
    .description(
      "Writes a synthetic checkpoint: the names, shapes and shards of PixArt-XL-2-1024-MS with random weights, for " +
        "tests of memory and speed.",
    )
    .argument("<dir>", "folder to write: 11 GB in float16, 22 GB in float32")
    .addOption(
      new Option("--dtype <name>", "element type of the weights").choices(["float32", "float16", "bfloat16"])
        .default("float32"),
    )
    .addOption(
      new Option("--preset <name>", "size of the networks").choices(syntheticPresetNames()).default(
        "xl-1024",
      ),
    )
    .option("-q, --quiet", "print only errors")
    .action(synthesize);
}

async function synthesize(folder: string, { dtype, preset, quiet }: SynthesizeOptions): Promise<void> {
  const path = userPath(folder);
  const bytes = await writeSyntheticCheckpoint(path, {
    dtype,
    preset,
    signal: interruptSignal(),
    onFile: ({ path, bytes }) => quiet || writeLine(stderr, `${path}  ${prettyBytes(bytes)}`),
  });
  if (!quiet) writeLine(stdout, `${path}  ${prettyBytes(bytes)}`);
}
