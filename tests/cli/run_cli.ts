/**
 * Runs the command line like a user: in a separate process and folder.
 *
 * @module
 */

import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { goldenPath } from "../goldens.ts";
import type { Need } from "../needing.ts";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** A checkpoint small enough for every test. */
export const TINY: string = goldenPath("checkpoints/tiny-alpha-512");

/** The results of a command. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Returns the store of commands in a folder. It is outside of the folder, and is removed with it. */
export function storeOf(folder: string): string {
  return `${folder}-store`;
}

/** Returns the program and the arguments that run a command of the project. */
export function commandLine(...args: string[]): [program: string, ...args: string[]] {
  return [Deno.execPath(), "run", "-A", "--no-check", CLI, ...args];
}

/** The program and its arguments that run a task of the project, with the permissions of the task alone. */
export function taskLine(...args: string[]): [program: string, ...args: string[]] {
  return [Deno.execPath(), "task", "--quiet", "--config", CONFIG, ...args];
}

/** Starts a command in a folder. */
export function startCli(folder: string, ...args: string[]): Deno.ChildProcess {
  return startCliWith(folder, {}, ...args);
}

/** Starts a command in a folder with additional environment variables. */
export function startCliWith(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Deno.ChildProcess {
  return start(folder, env, commandLine(...args));
}

/** Drops root's capability to access all files, so that permissions apply to it. */
const UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"];

/** Requires {@linkcode startUnprivileged}. */
export const UNPRIVILEGED_USER: Need = {
  what: "Linux and setpriv, with which root drops its privileges",
  isThere: Deno.build.os === "linux" && (Deno.uid() !== 0 || await worksHere([...UNPRIVILEGED, "true"])),
};

/** Starts a command in a folder. Permissions apply to it even if root runs the tests. */
export function startUnprivileged(folder: string, ...args: string[]): Deno.ChildProcess {
  return startUnprivilegedWith(folder, {}, ...args);
}

/** Starts a command to which permissions apply, with additional environment variables. */
export function startUnprivilegedWith(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Deno.ChildProcess {
  return start(folder, env, [...(Deno.uid() === 0 ? UNPRIVILEGED : []), ...commandLine(...args)]);
}

function start(
  folder: string,
  env: Readonly<Record<string, string>>,
  [program, ...args]: readonly string[],
): Deno.ChildProcess {
  const command = new Deno.Command(program!, {
    args,
    cwd: folder,
    env: { PIXSTAGE_STORE: storeOf(folder), PIXSTAGE_QUANTIZED: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  return command.spawn();
}

async function worksHere([program, ...args]: readonly string[]): Promise<boolean> {
  return await new Deno.Command(program!, { args }).output().then(({ success }) => success, () => false);
}

/** Runs a task in a folder, with additional environment variables, and waits for its end. */
export function runTask(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<CommandResult> {
  // The task keeps the folder of a surrounding npx otherwise.
  return resultOf(start(folder, { INIT_CWD: folder, ...env }, taskLine(...args)));
}

/** Runs a command in a folder, and waits for its end. */
export function runCli(folder: string, ...args: string[]): Promise<CommandResult> {
  return resultOf(startCli(folder, ...args));
}

/** Waits for the end of a command. */
export async function resultOf(process: Deno.ChildProcess): Promise<CommandResult> {
  const { code, stdout, stderr } = await process.output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { status: code, stdout: text(stdout), stderr: text(stderr) };
}

/** Runs a test in a temporary folder. */
export async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pixstage-test-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
    for (const beside of [storeOf(folder), `${storeOf(folder)}-quantized`]) {
      await rm(beside, { recursive: true, force: true });
    }
  }
}
