/**
 * A disk of a few megabytes that a test mounts and fills. Only root on Linux can mount one. Elsewhere the
 * tests are ignored, with the reason in their names.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Need } from "../needing.ts";

/** Runs a test on a separate disk. */
export async function onSmallDisk(
  megabytes: number,
  test: (disk: SmallDisk) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pixstage-disk-" });
  try {
    await command("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "pixstage-test", folder);
    try {
      await test(new SmallDisk(folder));
    } finally {
      await command("umount", folder);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A mounted disk. */
export class SmallDisk {
  readonly #filler: string;

  /** @param folder The mount point. */
  constructor(readonly folder: string) {
    this.#filler = join(folder, "filler");
  }

  /** Fills the disk until only the given number of bytes is free, rounded to pages. */
  async fill(left = 0): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    const bytes = new Uint8Array(Math.max(0, bavail * bsize - left));
    try {
      await Deno.writeFile(this.#filler, bytes, { append: true });
    } catch (error) {
      // Another process filled the disk at the same time.
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
  }

  /** Frees the filled space. */
  async empty(): Promise<void> {
    await Deno.remove(this.#filler);
  }

  /** Returns the paths of all files except the filler, relative to the disk. */
  async files(folder = this.folder): Promise<string[]> {
    const found: string[] = [];
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) found.push(...await this.files(path));
      else if (path !== this.#filler) found.push(path.slice(this.folder.length + 1));
    }
    return found.sort();
  }
}

async function command(name: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(name, { args, stdout: "null", stderr: "piped" }).output();
  if (code !== 0) throw new Error(`Cannot ${name}: ${new TextDecoder().decode(stderr)}`);
}

/** Requires small disks that can be mounted. */
export const SMALL_DISKS: Need = {
  what: "root of a Linux machine, who may mount a small disk",
  isThere: Deno.build.os === "linux" &&
    await onSmallDisk(1, () => Promise.resolve()).then(() => true, () => false),
};
