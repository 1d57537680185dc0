/**
 * The command line: `gen`, `inspect` and the lists, each a subcommand and a task of its own.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import { stderr } from "node:process";
import { decodeCommand } from "./cli/decode.ts";
import { denoiseCommand } from "./cli/denoise.ts";
import { encodeCommand } from "./cli/encode.ts";
import { genCommand } from "./cli/gen.ts";
import { inspectCommand } from "./cli/inspect.ts";
import { INTERRUPT_STATUS, InterruptedError } from "./cli/interrupt.ts";
import { modelsCommand, schedulersCommand, stagesCommand } from "./cli/lists.ts";
import { compareCommand } from "./cli/compare.ts";
import { planCommand } from "./cli/plan.ts";
import { writeLine } from "./cli/progress.ts";
import { rehearseCommand } from "./cli/rehearse.ts";
import { rerunCommand } from "./cli/rerun.ts";
import { resumeCommand } from "./cli/resume.ts";
import { runCommand } from "./cli/run.ts";
import { storeCommand } from "./cli/store.ts";
import { isUsageError } from "./cli/usage_error.ts";

/** Puts the commands together. */
function program(): Command {
  const commands = [
    genCommand(),
    encodeCommand(),
    denoiseCommand(),
    decodeCommand(),
    runCommand(),
    resumeCommand(),
    rerunCommand(),
    storeCommand(),
    inspectCommand(),
    schedulersCommand(),
    stagesCommand(),
    modelsCommand(),
    rehearseCommand(),
    planCommand(),
    compareCommand(),
  ];
  const root = new Command("pixstage")
    .description("Pictures from text with PixArt, stage by stage, in little memory.")
    .showHelpAfterError("(--help tells what is there)");
  for (const command of commands) root.addCommand(command.copyInheritedSettings(root));
  for (const command of [root, ...commands]) command.exitOverride();
  return root;
}

/**
 * Runs the command line.
 *
 * @param args The arguments after the program's name.
 * @returns The exit status: 0, 1 for a failure, 2 for wrong usage, 130 when stopped.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof InterruptedError) {
      writeLine(stderr, "Stopped");
      return INTERRUPT_STATUS;
    }
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    writeLine(stderr, `error: ${args.includes("--verbose") || args.includes("-v") ? stack : message}`);
    return isUsageError(error) ? 2 : 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
