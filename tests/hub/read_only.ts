/**
 * Read-only folders.
 *
 * @module
 */

import type { Need } from "../needing.ts";

/** Runs a test while a folder is read-only. For root, the folder is mounted read-only. */
export async function whileReadOnly(folder: string, work: () => Promise<void>): Promise<void> {
  const isRoot = Deno.uid() === 0;
  if (isRoot) {
    await command("mount", "--bind", folder, folder);
    await command("mount", "-o", "remount,bind,ro", folder);
  } else await command("chmod", "-R", "a-w", folder);
  try {
    await work();
  } finally {
    await (isRoot ? command("umount", folder) : command("chmod", "-R", "u+w", folder));
  }
}

async function command(name: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(name, { args, stdout: "null", stderr: "piped" }).output();
  if (code !== 0) throw new Error(`Cannot ${name}: ${new TextDecoder().decode(stderr)}`);
}

/** Requires read-only folders, which Windows and unprivileged containers with root lack. */
export const READ_ONLY_FOLDERS: Need = {
  what: "a user who may mount folders read-only",
  isThere: Deno.build.os !== "windows" && await canBeReadOnly(),
};

async function canBeReadOnly(): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "pixstage-test-" });
  try {
    await whileReadOnly(folder, () => Promise.resolve());
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
