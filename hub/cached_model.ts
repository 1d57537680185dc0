/**
 * What the cache holds of a model, without the network: others may have fetched parts of it.
 *
 * @module
 */

import { CheckpointError } from "../models/checkpoint/checkpoint_errors.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES, parseModelIndex } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import { findWeightFiles, variantsOf, type WeightFiles } from "../models/checkpoint/weight_files.ts";
import { snapshotModel } from "./cache_layout.ts";

/** One of these is there of each part of a checkpoint: its configuration, or the tokenizer's words. */
const TELLING: ReadonlySet<string> = new Set([
  "config.json",
  "scheduler_config.json",
  "tokenizer.json",
  "spiece.model",
]);

/**
 * Finds the weights of a component if all of their files are there.
 *
 * @param source The snapshot.
 * @param folder The component's folder; `""` for the snapshot's own.
 * @param variant The variant; `""` for the plain weights.
 * @returns The files; `undefined` if one is missing.
 */
export async function wholeWeights(
  source: CheckpointSource,
  folder: string,
  variant: string,
): Promise<WeightFiles | undefined> {
  try {
    const weights = await findWeightFiles(source, folder, variant);
    // A link may lead to a blob that was removed.
    for (const path of weights.paths) if (!await source.exists(path)) return undefined;
    return weights;
  } catch (error) {
    if (error instanceof CheckpointError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Says which weights a snapshot holds.
 *
 * @param path The snapshot's folder.
 * @returns The variants of each component whose weights are whole, by its folder; `""` is the folder of a single
 * component, and the plain variant.
 */
export async function heldWeights(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const held = new Map<string, readonly string[]>();
  const source = await openDiskSource(path).catch(() => undefined);
  if (!source) return held;
  for (const folder of ["", ...COMPONENT_NAMES]) {
    const whole: string[] = [];
    for (const variant of variantsOf(await source.list(folder))) {
      if (await wholeWeights(source, folder, variant)) whole.push(variant);
    }
    if (whole.length > 0) held.set(folder, whole);
  }
  return held;
}

/**
 * Whether a snapshot holds the configurations, the tokenizer and the scheduler of all that its model index declares.
 *
 * @param path The snapshot's folder.
 * @returns Whether it can be opened without asking the hub; never where nothing declares what there is.
 * @throws {UnsupportedArchitectureError} if it is not of PixArt.
 */
export async function holdsSmallFiles(path: string): Promise<boolean> {
  const source = await openDiskSource(path, { name: snapshotModel(path) }).catch(() => undefined);
  if (!source) return false;
  if (!await source.exists("model_index.json")) return await source.exists("config.json");
  for (const name of await declaredParts(source)) {
    const files = await source.list(name);
    if (!files.some((file) => TELLING.has(file))) return false;
  }
  return true;
}

/** The parts that a snapshot's model index declares: components, the tokenizer, the scheduler. */
export async function declaredParts(source: CheckpointSource): Promise<readonly string[]> {
  const { classes } = parseModelIndex(await source.readText("model_index.json"), source.name);
  return Object.keys(classes);
}
