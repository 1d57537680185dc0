/**
 * Copies of the tiny checkpoints that tests can modify.
 *
 * @module
 */

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { readSafetensorsFile } from "../../../artifacts/files_on_disk.ts";
import { encodeSafetensors } from "../../../artifacts/safetensors.ts";
import type { Tensor } from "../../../artifacts/tensor.ts";
import { goldenPath, hasGolden } from "../../goldens.ts";
import { golden, needing } from "../../needing.ts";

/** Returns the path of a tiny checkpoint. Tests must not write to it. */
export function tinyCheckpoint(name: string): string {
  return goldenPath(`checkpoints/${name}`);
}

/** The tiny checkpoints that are present. */
export function atHand<T>(checkpoints: Readonly<Record<string, T>>): [name: string, value: T][] {
  return Object.entries(checkpoints).filter(([name]) => hasGolden(`checkpoints/${name}`));
}

/** Defines a test on the tiny checkpoint that has a variant and shards. */
export function testOnVariants(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test(needing(golden("checkpoints/tiny-alpha-1024"), { name, fn }));
}

/** Copies a folder, passes the copy to `work`, and removes it afterwards. */
export async function withCopy(path: string, work: (copy: string) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(join(tmpdir(), "pixstage-"));
  try {
    const copy = join(parent, basename(path));
    await cp(path, copy, { recursive: true });
    for await (const file of walk(copy)) await Deno.chmod(file, 0o755);
    await work(copy);
  } finally {
    await rm(parent, { recursive: true });
  }
}

/** Rewrites a safetensors file with different tensors. */
export async function editTensors(
  path: string,
  edit: (tensors: Readonly<Record<string, Tensor>>) => Readonly<Record<string, Tensor>>,
): Promise<void> {
  const { tensors, metadata } = await readSafetensorsFile(path);
  await Deno.writeFile(
    path,
    await new Blob(encodeSafetensors(edit(tensors), metadata) as BlobPart[]).bytes(),
  );
}

/** Creates an empty folder, passes it to `work`, and removes it afterwards. */
export async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "pixstage-"));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function* walk(folder: string): AsyncGenerator<string> {
  yield folder;
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}
