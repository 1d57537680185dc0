/**
 * Checks the commands of the documents against the command line without running them.
 *
 * @module
 */

import type { Command } from "commander";
import { existsSync } from "node:fs";
import { join } from "node:path";
// @ts-types="@types/shell-quote"
import { parse } from "shell-quote";
import { program } from "../../cli.ts";
import project from "../../deno.json" with { type: "json" };
import { ROOT } from "./code_blocks.ts";

/** How documents call the command line: by a task, or as the program of the npm package. */
const PROGRAMS = [
  ["deno", "task"],
  ["npx", "-y", "deno@2.9.6", "task"],
  ["npx", "pixstage"],
  ["npx", "@pixstage/pixstage"],
];

/** The commands of the tasks, by name. */
const TASKS = new Map(
  Object.entries(project.tasks).map(([name, task]) => [name, "command" in task ? task.command : ""]),
);

/** A command line in a document. */
export interface ShellCommand {
  /** The line as the document shows it. */
  readonly line: string;
  /** Whether all of it was checked. Other programs cannot be checked, except for what follows a pipe. */
  readonly isChecked: boolean;
  /** What is wrong with the part that was checked. */
  readonly fault: string | undefined;
}

/** Checks each command of a block. */
export async function checkCommands(code: string): Promise<ShellCommand[]> {
  return await Promise.all(commandsOf(code).map(checkCommand));
}

/** Returns the commands of a block, each on one line, without the comments before them. */
export function commandsOf(code: string): string[] {
  return code.replace(/\\\n\s*/g, "").split("\n").filter((line) => !/^\s*(#|$)/.test(line));
}

async function checkCommand(line: string): Promise<ShellCommand> {
  const words = wordsOf(line);
  const [called, start] = findProgram(words);
  if (called === undefined) return { line, isChecked: false, fault: undefined };
  const startsTheLine = words.slice(0, start).every((word) => /^\w+=/.test(word));
  const rest = words.slice(start + called.length);
  const args = called.at(-1) === "task" ? taskArguments(rest) : rest;
  if (args === undefined) {
    const fault = TASKS.has(rest[0] ?? "") ? undefined : `There is no task "${rest[0]}"`;
    return { line, isChecked: startsTheLine && rest.length === 1, fault };
  }
  return { line, isChecked: startsTheLine, fault: await argumentFault(args) ?? missingFile(args) };
}

/** Returns the words of a line up to a pipe, a redirection or a comment. Variables keep their names. */
function wordsOf(line: string): string[] {
  const entries = parse(line, (name) => `$${name}`);
  const end = entries.findIndex((entry) => typeof entry !== "string" && !("pattern" in entry));
  return entries.slice(0, end < 0 ? undefined : end)
    .map((entry) => typeof entry === "string" ? entry : "pattern" in entry ? entry.pattern : "");
}

/** Returns the words that call the command line, and the index of the first. */
function findProgram(words: readonly string[]): [called: string[] | undefined, start: number] {
  for (const start of words.keys()) {
    const called = PROGRAMS.find((program) => program.every((word, index) => words[start + index] === word));
    if (called) return [called, start];
  }
  return [undefined, -1];
}

/** Returns the arguments that a task gives to the command line, or `undefined` if it runs something else. */
function taskArguments([name = "", ...args]: readonly string[]): string[] | undefined {
  const { entry, command } =
    /(?<entry>cli|server)\.ts ?(?<command>\w*)$/.exec(TASKS.get(name) ?? "")?.groups ?? {};
  if (entry === undefined) return undefined;
  return [...(entry === "server" ? ["serve"] : command ? [command] : []), ...args];
}

/** Ends a command whose arguments are accepted, before its action. */
class Accepted extends Error {
  constructor(readonly command: Command) {
    super();
  }
}

/** Returns what the command line refuses about its arguments. */
async function argumentFault(args: readonly string[]): Promise<string | undefined> {
  const root = await program(args[0]);
  root.hook("preAction", (_root, command) => {
    throw new Accepted(command);
  });
  silence(root);
  try {
    root.parse(args, { from: "user" });
    return "It runs no command";
  } catch (error) {
    if (!(error instanceof Accepted)) return error instanceof Error ? error.message : String(error);
    const faults = await Promise.all(
      genOptions(error.command).map((option) => argumentFault(["gen", option])),
    );
    return faults.find((fault) => fault !== undefined);
  }
}

/** Returns the options of `gen` that the options of `grid` and `compare` vary. */
function genOptions(command: Command): string[] {
  const isGrid = command.name() === "grid";
  const names = isGrid ? ["x", "y"] : command.name() === "compare" ? ["a", "b", "set"] : [];
  const texts = names.map((name): unknown => command.getOptionValue(name)).filter((text) =>
    typeof text === "string"
  );
  const settings = texts.flatMap((text) => text.split(/,(?=[\w-]+=)/)).filter((setting) => setting !== "");
  return settings.flatMap((setting) => {
    const [name = "", values = ""] = setting.split(/=(.*)/s);
    if (isGrid && name === "prompt") return [];
    return (isGrid ? values.split(",") : [values]).map((value) => `--${name}=${value}`);
  });
}

/** Makes a command and its subcommands throw errors without printing them. */
function silence(command: Command): void {
  command.configureOutput({ writeErr: () => {}, writeOut: () => {} });
  for (const subcommand of command.commands) silence(subcommand);
}

/** Returns an error message if a command names a file of the repository that does not exist. */
function missingFile(args: readonly string[]): string | undefined {
  const file = args.flatMap((word) => word.split("=")).find((part) =>
    part.startsWith("examples/") && !existsSync(join(ROOT, part))
  );
  return file === undefined ? undefined : `There is no file ${file}`;
}
