/**
 * Finds a model in the cache, without the network.
 *
 * @module
 */

import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { type ComponentName, parseModelIndex } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import { CheckpointError } from "../models/checkpoint/checkpoint_errors.ts";
import type { CacheLayout } from "./cache_layout.ts";
import { weightPaths } from "./needed_files.ts";

/** What a cached model must hold. */
export interface Needs {
  /** Which components, of those that the model has. */
  readonly components: readonly ComponentName[];
  /** The variant of the weights; `""` for the plain ones. */
  readonly variant: string;
}

/**
 * Says what a snapshot lacks.
 *
 * @param layout Where the model is cached.
 * @param commit The snapshot's commit.
 * @param needs What it must hold.
 * @returns What is missing, in words; `undefined` if nothing is.
 */
export async function missingFromSnapshot(
  layout: CacheLayout,
  commit: string,
  needs: Needs,
): Promise<string | undefined> {
  try {
    const source = await openDiskSource(layout.snapshot(commit));
    if (!await source.exists("model_index.json") && !await source.exists("config.json")) {
      return "model_index.json is missing";
    }
    for (const path of await weightPaths(source, needs.components, needs.variant)) {
      if (!await source.exists(path)) return `${path} is missing`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof CheckpointError || error instanceof SyntaxError) return error.message;
    throw error;
  }
}

/** Whether a snapshot holds every component that its model index declares: others may have fetched parts of it. */
export async function holdsDeclaredComponents(
  layout: CacheLayout,
  commit: string,
  { components }: Needs,
): Promise<boolean> {
  const source: CheckpointSource = await openDiskSource(layout.snapshot(commit));
  if (!await source.exists("model_index.json")) return true;
  const { classes } = parseModelIndex(await source.readText("model_index.json"), source.name);
  for (const name of components) {
    if (name in classes && !await source.exists(`${name}/config.json`)) return false;
  }
  return true;
}
