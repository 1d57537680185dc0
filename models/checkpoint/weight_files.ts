// This module is browser compatible.

/**
 * Which files hold the weights of a component: one file or shards with an index, of the wanted variant.
 *
 * Source of the names: `_add_variant` and `_fetch_index_file_legacy` in diffusers' `utils/hub_utils.py` and
 * `models/model_loading_utils.py`.
 *
 * @module
 */

import { z } from "zod";
import { someNames } from "../../artifacts/some_names.ts";
import { CheckpointError, MissingVariantError } from "./checkpoint_errors.ts";
import { type CheckpointSource, joinPath } from "./source.ts";

/** The files that hold the weights of a component. */
export interface WeightFiles {
  /** Paths of the safetensors files in the source, sorted. */
  readonly paths: readonly string[];
  /** Which of them holds each tensor, where an index says so. */
  readonly index?: {
    /** Path of the index. */
    readonly path: string;
    /** Path of the file that holds each tensor. */
    readonly files: ReadonlyMap<string, string>;
  };
}

/** diffusers' models and transformers' models name their files differently. */
const STEMS = ["diffusion_pytorch_model", "model"];

// `model.fp16.safetensors`, `model.fp16-00001-of-00003.safetensors`, `model-00001-of-00003.fp16.safetensors`
const WEIGHT_FILE =
  /^(?<stem>diffusion_pytorch_model|model)(\.(?<variant>[\w-]+?))?(-\d{5}-of-\d{5})?(\.(?<old>[\w-]+))?\.safetensors$/;

const PICKLE_FILE = /\.(bin|ckpt|pt|pth)(\.index\.json)?$/;

const Index = z.looseObject({
  weight_map: z.record(
    z.string(),
    z.string().regex(/^[^/\\]+\.safetensors$/, "must name a safetensors file beside it"),
  ),
});

/**
 * Says what a file name is among the weights of a component.
 *
 * @param file The file's name.
 * @returns `undefined` if it holds no weights; else the variant, `""` for the plain weights.
 */
export function weightFileVariant(file: string): string | undefined {
  const groups = WEIGHT_FILE.exec(file)?.groups;
  return groups === undefined ? undefined : groups.variant ?? groups.old ?? "";
}

/** Variants of the weights that lie in a folder, sorted; the plain weights are `""`. */
export function variantsOf(files: readonly string[]): readonly string[] {
  const variants = files.map(weightFileVariant).filter((variant) => variant !== undefined);
  return [...new Set(variants)].sort();
}

/** Names of the indices that the shards of a variant may have: today's, and the one that diffusers used before. */
export function indexNames(stem: string, variant: string): readonly string[] {
  if (variant === "") return [`${stem}.safetensors.index.json`];
  return [`${stem}.safetensors.index.${variant}.json`, `${stem}.safetensors.${variant}.index.json`];
}

/**
 * Finds the files that hold the weights of a component.
 *
 * @param source The checkpoint.
 * @param folder The component's folder; `""` for the source's own.
 * @param variant The variant: `fp16`; `""` for the plain weights.
 * @returns The files.
 * @throws {MissingVariantError} if there are weights, of other variants alone.
 * @throws {CheckpointError} if there are no safetensors weights, or the index names a file that is not there.
 */
export async function findWeightFiles(
  source: CheckpointSource,
  folder: string,
  variant: string,
): Promise<WeightFiles> {
  const files = await source.list(folder);
  for (const stem of STEMS) {
    const single = `${stem}.${variant === "" ? "" : `${variant}.`}safetensors`;
    if (files.includes(single)) return { paths: [joinPath(folder, single)] };
    const index = indexNames(stem, variant).find((name) => files.includes(name));
    if (index !== undefined) return await readIndex(source, folder, index, files);
  }
  throw noWeights(`${source.name}${folder === "" ? "" : `/${folder}`}`, files, variant);
}

async function readIndex(
  source: CheckpointSource,
  folder: string,
  name: string,
  present: readonly string[],
): Promise<WeightFiles> {
  const path = joinPath(folder, name);
  const label = `${source.name}/${path}`;
  let value: unknown;
  try {
    value = JSON.parse(await source.readText(path));
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new SyntaxError(`Cannot parse ${label} as JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = Index.safeParse(value);
  if (!parsed.success) {
    throw new CheckpointError(
      `Cannot read ${label} as an index of weights: ${z.prettifyError(parsed.error)}`,
    );
  }
  const map = Object.entries(parsed.data.weight_map);
  const shards = [...new Set(map.map(([, file]) => file))].sort();
  const missing = shards.filter((file) => !present.includes(file));
  if (missing.length > 0) {
    throw new CheckpointError(
      `Cannot read the weights of ${label} as it names files that are missing: ${someNames(missing)}. ` +
        "Fetch them again",
    );
  }
  return {
    paths: shards.map((file) => joinPath(folder, file)),
    index: { path, files: new Map(map.map(([tensor, file]) => [tensor, joinPath(folder, file)])) },
  };
}

function noWeights(where: string, files: readonly string[], variant: string): CheckpointError {
  const wanted = variant === "" ? "its plain weights" : `the variant ${variant} of its weights`;
  const variants = variantsOf(files);
  if (variants.length > 0) {
    const found = variants.map((name) => name === "" ? "the plain weights" : name).join(", ");
    return new MissingVariantError(`Cannot find ${wanted} in ${where}: there are ${found}`);
  }
  const pickles = files.filter((file) => PICKLE_FILE.test(file));
  if (pickles.length > 0) {
    return new CheckpointError(
      `Cannot read the weights of ${where} as they must be safetensors files: current value is ${
        someNames(pickles)
      }. Save them again with save_pretrained(..., safe_serialization=True)`,
    );
  }
  return new CheckpointError(
    `Cannot find the weights of ${where}: it must hold diffusion_pytorch_model.safetensors, model.safetensors ` +
      `or shards with their index, but holds ${someNames(files)}`,
  );
}
