/**
 * The models on this machine: the embedded one, and those in the hub's cache.
 *
 * @module
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { openCheckpoint } from "../models/checkpoint/checkpoint.ts";
import { UnsupportedArchitectureError } from "../models/checkpoint/checkpoint_errors.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES, type ComponentName } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import { findWeightFiles } from "../models/checkpoint/weight_files.ts";
import { type CheckedPart, checkPart } from "./check_checkpoint.ts";
import { declaredParts, heldWeights } from "./checkpoint_files.ts";
import { hubSettings } from "./hub_settings.ts";
import { DEFAULT_MODEL, embeddedModelFolder } from "./local_models.ts";
import { COMMIT } from "./repository.ts";

/** A model on this machine. */
export interface ListedModel {
  /**
   * The value for `--model`: the model, with the branch, tag or commit of a snapshot that is not that of
   * `main`.
   */
  readonly name: string;
  /** The model's folder. */
  readonly folder: string;
  /** The size of its files in bytes. */
  readonly bytes: number;
  /** The components whose weights are present, in any variant. */
  readonly components: readonly ComponentName[];
  /** The variants of the weights that are present, by component. The plain weights are `""`. */
  readonly variants: Readonly<Record<string, readonly string[]>>;
  /** The components whose weights a run fetches on demand. */
  readonly missing: readonly ComponentName[];
  /** The faults of the present files for which a run would refuse them, one sentence each. */
  readonly faults: readonly string[];
}

const PREFIX = "models--";

/**
 * Lists the models on this machine, with the faults for which a run would refuse them: reads configurations,
 * tokenizers and the headers of weights. Models of other architectures, which the hub's cache can contain
 * too, are omitted. (`scanCacheDir` of the hub's library omits the folders of a snapshot, and models that
 * were only fetched by commit.)
 *
 * @param options The hub's cache, if it is not the default one.
 * @returns The embedded model first, then the cached ones by name.
 */
export async function listModels(
  options: { readonly cacheDir?: string | undefined } = {},
): Promise<ListedModel[]> {
  const { cacheDir } = await hubSettings(options);
  const cached: ListedModel[] = [];
  for (const entry of await folders(cacheDir)) {
    if (!entry.startsWith(PREFIX)) continue;
    const root = join(cacheDir, entry);
    const model = entry.slice(PREFIX.length).replaceAll("--", "/");
    const refs = await readRefs(join(root, "refs"));
    for (const commit of (await folders(join(root, "snapshots"))).filter((name) => COMMIT.test(name))) {
      const names = refs.get(commit) ?? [commit];
      const name = names.includes("main") ? model : `${model}@${names[0]}`;
      cached.push(...await listed(name, join(root, "snapshots", commit)));
    }
  }
  cached.sort((a, b) => a.name < b.name ? -1 : 1);
  return [...await listed(DEFAULT_MODEL, embeddedModelFolder()), ...cached];
}

async function listed(name: string, folder: string): Promise<readonly ListedModel[]> {
  const files = await readdir(folder, { recursive: true }).catch((): string[] => []);
  if (!files.includes("model_index.json")) return [];
  const held = await heldWeights(folder);
  let declared: readonly string[] = [];
  let faults: readonly string[];
  try {
    const source = await openDiskSource(folder, { name });
    declared = await declaredParts(source);
    faults = await findFaults(source, declared, held);
  } catch (error) {
    if (error instanceof UnsupportedArchitectureError) return [];
    faults = [messageOf(error)];
  }
  let bytes = 0;
  for (const file of files) {
    // Links point to the blobs with the bytes.
    const found = await stat(join(folder, file)).catch(() => undefined);
    if (found?.isFile()) bytes += found.size;
  }
  return [{
    name,
    folder,
    bytes,
    components: COMPONENT_NAMES.filter((component) => held.has(component)),
    variants: Object.fromEntries(
      COMPONENT_NAMES.flatMap((name) => held.has(name) ? [[name, held.get(name)!]] : []),
    ),
    missing: COMPONENT_NAMES.filter((component) => declared.includes(component) && !held.has(component)),
    faults,
  }];
}

/** Finds the faults of the present parts. Missing parts are fetched before a run needs them. */
async function findFaults(
  source: CheckpointSource,
  declared: readonly string[],
  held: ReadonlyMap<string, readonly string[]>,
): Promise<readonly string[]> {
  const faults = new Set<string>();
  const check = async (part: CheckedPart, variant: string): Promise<void> => {
    const findWeights = (component: ComponentName, folder: string) =>
      findWeightFiles(source, { component, folder, variant });
    try {
      await checkPart(await openCheckpoint(source, { variant, findWeights }), part);
    } catch (error) {
      faults.add(messageOf(error));
    }
  };
  for (const component of COMPONENT_NAMES) {
    for (const variant of held.get(component) ?? []) await check(component, variant);
  }
  for (const part of ["tokenizer", "scheduler"] as const) {
    if (declared.includes(part) && (await source.list(part)).length > 0) await check(part, "");
  }
  return [...faults];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Reads the branches and tags of each commit. */
async function readRefs(folder: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const refs = new Map<string, string[]>();
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const commit = (await readFile(path, "utf8")).trim();
    refs.set(commit, [...refs.get(commit) ?? [], relative(folder, path).replaceAll(sep, "/")].sort());
  }
  return refs;
}

async function folders(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}
