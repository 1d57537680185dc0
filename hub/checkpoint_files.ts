/**
 * The files of a repository that make up a checkpoint: those that a run needs, and those that a folder
 * already contains.
 *
 * @module
 */

import { CheckpointError } from "../models/checkpoint/checkpoint_errors.ts";
import { chooseVariants, loneComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { COMPONENT_NAMES, type ComponentName, parseModelIndex } from "../models/checkpoint/model_index.ts";
import { runDefaultsFiles } from "../models/checkpoint/run_defaults.ts";
import { type CheckpointSource, joinPath } from "../models/checkpoint/source.ts";
import {
  findWeightFiles,
  indexNames,
  variantsOf,
  type WantedWeights,
  type WeightFiles,
} from "../models/checkpoint/weight_files.ts";

/**
 * The file that identifies a repository: a whole checkpoint, a single component, or components in folders.
 */
const MAIN_FILES: readonly string[] = [
  "model_index.json",
  "config.json",
  ...COMPONENT_NAMES.map((name) => `${name}/config.json`),
];

const CHECKPOINT_FILES = [
  "model_index.json",
  "scheduler/scheduler_config.json",
  "tokenizer/tokenizer.json",
  "tokenizer/spiece.model",
  "tokenizer/tokenizer_config.json",
  "tokenizer/added_tokens.json",
  "tokenizer/special_tokens_map.json",
];

/**
 * Each folder of a complete checkpoint contains one of these: its configuration, or the tokenizer's
 * vocabulary.
 */
const FOLDER_FILES: ReadonlySet<string> = new Set([
  "config.json",
  "scheduler_config.json",
  "tokenizer.json",
  "spiece.model",
]);

/**
 * Finds the main file of a repository.
 *
 * @param has Returns whether the repository contains a file.
 * @returns Its path, or `undefined` if the repository is not in diffusers' folder layout.
 */
export function mainFile(has: (path: string) => boolean): string | undefined {
  return MAIN_FILES.find(has);
}

/** Returns whether a folder contains the main file of a repository. */
export async function holdsMainFile(source: CheckpointSource): Promise<boolean> {
  return (await Promise.all(MAIN_FILES.map((path) => source.exists(path)))).includes(true);
}

/**
 * Lists the files that are small and always needed: configurations, the tokenizer, the indices of sharded
 * weights.
 *
 * @param has Returns whether the repository contains a file.
 * @param variant The variant of the weights; `""` for the plain ones.
 * @returns Their paths, the main file last.
 */
export function smallFiles(has: (path: string) => boolean, variant: string): readonly string[] {
  const main = mainFile(has);
  if (main === undefined) return [];
  const folders: readonly string[] = main === "config.json" ? [""] : COMPONENT_NAMES;
  const perFolder = [
    "config.json",
    ...["diffusion_pytorch_model", "model"].flatMap((stem) =>
      [...new Set([variant, ""])].flatMap((name) => indexNames(stem, name))
    ),
  ];
  const wanted = folders.flatMap((folder) => perFolder.map((file) => joinPath(folder, file)));
  const paths = [...runDefaultsFiles(variant), ...CHECKPOINT_FILES, ...wanted].filter(has);
  return [...paths.filter((path) => path !== main), main];
}

/**
 * Finds the safetensors files of one component.
 *
 * @param source The repository; its small files must be readable.
 * @param wanted The component, its folder, `""` if the repository contains only that component, and the
 * variant. A component that lacks the variant uses its plain weights if another component has it.
 * @returns The files.
 * @throws {MissingVariantError} if no component has the variant.
 * @throws {CheckpointError} if the component has no safetensors weights.
 */
export async function componentWeights(
  source: CheckpointSource,
  wanted: WantedWeights,
): Promise<WeightFiles> {
  if (wanted.folder === "") return await findWeightFiles(source, wanted);
  const variants = await componentVariants(source, wanted.variant);
  return await findWeightFiles(source, { ...wanted, variant: variants.get(wanted.component) ?? "" });
}

/**
 * Chooses the variant of each component of a whole checkpoint.
 *
 * @param source The repository.
 * @param variant The variant of the weights; `""` for the plain ones.
 * @returns The variant of each component; empty if the repository is a single component.
 * @throws {MissingVariantError} if no component has the variant.
 */
export async function componentVariants(
  source: CheckpointSource,
  variant: string,
): Promise<ReadonlyMap<ComponentName, string>> {
  const present: ComponentName[] = [];
  for (const name of COMPONENT_NAMES) if (await source.exists(`${name}/config.json`)) present.push(name);
  return await chooseVariants(source, present, variant);
}

/**
 * Finds the weights of a component if all of their files are present.
 *
 * @param source The folder.
 * @param wanted The component, its folder and the variant.
 * @returns The files, or `undefined` if one is missing.
 */
export async function wholeWeights(
  source: CheckpointSource,
  wanted: WantedWeights,
): Promise<WeightFiles | undefined> {
  try {
    const weights = await findWeightFiles(source, wanted);
    // A link can point to a blob that was removed.
    for (const path of weights.paths) if (!await source.exists(path)) return undefined;
    return weights;
  } catch (error) {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  }
}

/**
 * Lists the weights in a folder.
 *
 * @param path The folder.
 * @returns The variants of each component whose weights are complete, by the component's folder. `""` is the
 * folder of a single component, and the plain variant.
 */
export async function heldWeights(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const held = new Map<string, readonly string[]>();
  const source = await openDiskSource(path).catch(() => undefined);
  if (!source) return held;
  const lone = await loneComponent(source);
  const places = [
    ...(lone === undefined ? [] : [{ component: lone, folder: "" }]),
    ...COMPONENT_NAMES.map((component) => ({ component, folder: component })),
  ];
  for (const place of places) {
    const whole: string[] = [];
    for (const variant of variantsOf(await source.list(place.folder))) {
      if (await wholeWeights(source, { ...place, variant })) whole.push(variant);
    }
    if (whole.length > 0) held.set(place.folder, whole);
  }
  return held;
}

/**
 * Returns whether a folder contains the configurations, the tokenizer and the scheduler that its model index
 * declares.
 *
 * @param path The folder.
 * @param name Name of the model, for errors.
 * @returns Whether it can be opened without the hub.
 * @throws {UnsupportedArchitectureError} if its architecture is not PixArt.
 */
export async function holdsSmallFiles(path: string, name: string): Promise<boolean> {
  const source = await openDiskSource(path, { name }).catch(() => undefined);
  if (!source) return false;
  if (!await source.exists("model_index.json")) return await source.exists("config.json");
  for (const folder of await declaredParts(source)) {
    const files = await source.list(folder);
    if (!files.some((file) => FOLDER_FILES.has(file))) return false;
  }
  return true;
}

/** Lists the parts that a model index declares: components, the tokenizer, the scheduler. */
export async function declaredParts(source: CheckpointSource): Promise<readonly string[]> {
  const { classes } = parseModelIndex(await source.readText("model_index.json"), source.name);
  return Object.keys(classes);
}
