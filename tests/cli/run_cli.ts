/**
 * Runs the command line as a user does: a process of its own, in a folder of its own.
 *
 * @module
 */

import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { goldenPath } from "../goldens.ts";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));

/** A checkpoint small enough for every test. */
export const TINY: string = goldenPath("checkpoints/tiny-alpha-512");

/** What a command left behind. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The store of the commands that run in a folder: outside of it, and gone with it. */
export function storeOf(folder: string): string {
  return `${folder}-store`;
}

/** Starts a command in a folder. */
export function startCli(folder: string, ...args: string[]): Deno.ChildProcess {
  return startCliWith(folder, {}, ...args);
}

/** Starts a command in a folder, with more in its environment. */
export function startCliWith(
  folder: string,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Deno.ChildProcess {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CLI, ...args],
    cwd: folder,
    env: { PIXSTAGE_STORE: storeOf(folder), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  return command.spawn();
}

/** Runs a command in a folder to its end. */
export async function runCli(folder: string, ...args: string[]): Promise<CommandResult> {
  const { code, stdout, stderr } = await startCli(folder, ...args).output();
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
    await rm(storeOf(folder), { recursive: true, force: true });
  }
}
