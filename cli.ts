/**
 * The command line. Each command is a subcommand of `pixstage` and has a task in `deno.json`.
 *
 * @module
 */

import { Command, CommanderError } from "commander";
import process, { stderr } from "node:process";
import "./images/codecs_in_node.ts";
import { bypassProxyOnLoopback } from "./network/proxy.ts";
import project from "./deno.json" with { type: "json" };
import { leaveInterrupts } from "./cli/interrupt.ts";
import { describeError } from "./cli/name_option.ts";
import { outliveReaders, writeLine } from "./cli/standard_streams.ts";
import { exitStatus, isAbortError, toPixstageError } from "./errors/foreign_error.ts";

/** Loads each command on demand: loading all of them takes as long as a small run. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  gen: async () => (await import("./cli/gen.ts")).genCommand(),
  encode: async () => (await import("./cli/encode.ts")).encodeCommand(),
  denoise: async () => (await import("./cli/denoise.ts")).denoiseCommand(),
  decode: async () => (await import("./cli/decode.ts")).decodeCommand(),
  run: async () => (await import("./cli/run.ts")).runCommand(),
  resume: async () => (await import("./cli/resume.ts")).resumeCommand(),
  rerun: async () => (await import("./cli/rerun.ts")).rerunCommand(),
  store: async () => (await import("./cli/store.ts")).storeCommand(),
  quantized: async () => (await import("./cli/quantized.ts")).quantizedCommand(),
  inspect: async () => (await import("./cli/inspect.ts")).inspectCommand(),
  schedulers: async () => (await import("./cli/lists.ts")).schedulersCommand(),
  stages: async () => (await import("./cli/lists.ts")).stagesCommand(),
  models: async () => (await import("./cli/lists.ts")).modelsCommand(),
  doctor: async () => (await import("./cli/doctor.ts")).doctorCommand(),
  devices: async () => (await import("./cli/devices.ts")).devicesCommand(),
  synthesize: async () => (await import("./cli/synthesize.ts")).synthesizeCommand(),
  plan: async () => (await import("./cli/plan.ts")).planCommand(),
  serve: async () => (await import("./cli/serve.ts")).serveCommand(),
  worker: async () => (await import("./cli/worker.ts")).workerCommand(),
  grid: async () => (await import("./cli/grid.ts")).gridCommand(),
  compare: async () => (await import("./cli/compare.ts")).compareCommand(),
};

/** Former names of commands. They still work, but no help lists them. */
const FORMER_NAMES: Readonly<Record<string, string>> = { rehearse: "synthesize" };

/**
 * Builds the program.
 *
 * @param called The command to load. If there is no such command, all commands are loaded.
 */
export async function program(called: string | undefined): Promise<Command> {
  const isFormer = called !== undefined && Object.hasOwn(FORMER_NAMES, called);
  const name = isFormer ? FORMER_NAMES[called] : called;
  const isKnown = name !== undefined && Object.hasOwn(COMMANDS, name);
  const loads = isKnown ? [COMMANDS[name]!] : Object.values(COMMANDS);
  const commands = await Promise.all(loads.map((load) => load()));
  if (isFormer) commands[0]!.alias(called);
  const root = new Command("pixstage")
    .description("Pictures from text with PixArt, stage by stage, in little memory.")
    .version(project.version, "-V, --version", "tell the version")
    .showHelpAfterError("(--help lists what is available)");
  for (const command of commands) root.addCommand(command.copyInheritedSettings(root));
  for (const command of [root, ...commands]) command.exitOverride();
  return root;
}

/**
 * Runs the command line.
 *
 * @param args The arguments after the program's name.
 * @returns The exit status: 0 for success, 1 for a failure, 2 for wrong usage, 130 if the user stopped it.
 */
export async function main(args: readonly string[]): Promise<number> {
  outliveReaders();
  let root = new Command();
  try {
    bypassProxyOnLoopback();
    root = await program(args[0]);
    await root.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (isAbortError(error)) writeLine(stderr, "Stopped");
    else {
      const told = toPixstageError(error);
      const isVerbose = args.includes("--verbose") || args.includes("-v");
      writeLine(stderr, `error: ${isVerbose ? told.stack : describeError(told, calledCommand(root, args))}`);
    }
    return exitStatus(error);
  } finally {
    leaveInterrupts();
  }
}

/** Returns the command or subcommand that the arguments name. */
function calledCommand(command: Command, [name, ...rest]: readonly string[]): Command {
  const called = command.commands.find((subcommand) => subcommand.name() === name);
  return called ? calledCommand(called, rest) : command;
}

if (import.meta.main) process.exit(await main(process.argv.slice(2)));
