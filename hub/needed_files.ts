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
import { findWeightFiles, indexNames } from "../models/checkpoint/weight_files.ts";

/** The file that tells what a repository is, for a whole checkpoint and for a single component. */
export const MAIN_FILES = ["model_index.json", "config.json"] as const;

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
  const whole = main === "model_index.json";
  const folders: readonly string[] = whole ? COMPONENT_NAMES : [""];
  const perFolder = [
    "config.json",
    ...["diffusion_pytorch_model", "model"].flatMap((stem) =>
      [...new Set([variant, ""])].flatMap((name) => indexNames(stem, name))
    ),
  ];
  const wanted = folders.flatMap((folder) => perFolder.map((file) => joinPath(folder, file)));
  const paths = [...runDefaultsFiles(variant), ...(whole ? CHECKPOINT_FILES : []), ...wanted].filter(has);
  return [...paths.filter((path) => path !== main), main];
}

/**
 * The safetensors files of the components.
 *
 * @param source The repository; its small files must be readable.
 * @param components Which components, of those that it holds.
 * @param variant The variant of the weights; `""` for the plain ones.
 * @returns Their paths.
 * @throws {MissingVariantError} if no component has the variant.
 * @throws {CheckpointError} if a component has no safetensors weights.
 */
export async function weightPaths(
  source: CheckpointSource,
  components: readonly ComponentName[],
  variant: string,
): Promise<readonly string[]> {
  if (!await source.exists("model_index.json")) return (await findWeightFiles(source, "", variant)).paths;
  const present: ComponentName[] = [];
  for (const name of COMPONENT_NAMES) if (await source.exists(`${name}/config.json`)) present.push(name);
  const variants = await chooseVariants(source, present, variant);
  const paths: string[] = [];
  for (const name of present) {
    if (!components.includes(name)) continue;
    paths.push(...(await findWeightFiles(source, name, variants.get(name) ?? "")).paths);
  }
  return paths;
}
