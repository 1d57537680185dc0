/**
 * Which files of a model's repository a run needs: never pictures, pickles, ONNX exports or other variants.
 *
 * @module
 */

import { chooseVariants } from "../models/checkpoint/component.ts";
import { COMPONENT_NAMES, type ComponentName } from "../models/checkpoint/model_index.ts";
import { joinPath } from "../models/checkpoint/source.ts";
import { runDefaultsFiles } from "../models/checkpoint/run_defaults.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import {
  findWeightFiles,
  indexNames,
  type WantedWeights,
  type WeightFiles,
} from "../models/checkpoint/weight_files.ts";

/** The file that tells what a repository is: of a whole checkpoint, of a single component, of components in folders. */
export const MAIN_FILES: readonly string[] = [
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
 * The main file of a repository.
 *
 * @param has Whether it holds a file.
 * @returns Its path; `undefined` if the repository is not in diffusers' folder layout.
 */
export function mainFile(has: (path: string) => boolean): string | undefined {
  return MAIN_FILES.find(has);
}

/**
 * The files that are small and always needed: configurations, the tokenizer, the indices of sharded weights.
 *
 * @param has Whether the repository holds a file.
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
 * @param wanted Which component, in which folder, `""` where the repository is that component alone, and the
 *   variant that is asked for. A component that lacks it takes its plain weights, so long as another has it.
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
 * @returns What each component takes; empty where the repository is a single component.
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
