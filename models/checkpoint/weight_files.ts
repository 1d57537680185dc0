// This module is browser compatible.

/**
 * Finds the files that contain the weights of a component in the requested variant: one file, or shards with
 * an index.
 *
 * Source of the names and their order: `_add_variant` and `_fetch_index_file_legacy` in diffusers'
 * `utils/hub_utils.py` and `models/model_loading_utils.py`, `ModelMixin.from_pretrained` in its
 * `models/modeling_utils.py`, and `_get_resolved_checkpoint_files` in transformers' `modeling_utils.py`.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../../errors/parse_value.ts";
import { listNames } from "../../errors/list_names.ts";
import { CheckpointError, MissingVariantError } from "./checkpoint_errors.ts";
import type { ComponentName } from "./model_index.ts";
import { type CheckpointSource, joinPath } from "./source.ts";

/** The files that contain the weights of a component. */
export interface WeightFiles {
  /** Sorted paths of the safetensors files in the source. */
  readonly paths: readonly string[];
  /** The assignment of tensors to files, if there is an index. */
  readonly index?: {
    /** Path of the index. */
    readonly path: string;
    /** Path of the file that contains each tensor, by the tensor's name. */
    readonly files: ReadonlyMap<string, string>;
  };
}

/** The weights to find. */
export interface WantedWeights {
  /** The component. Its library determines the names of the files and their precedence. */
  readonly component: ComponentName;
  /** The component's folder; `""` for the root. */
  readonly folder: string;
  /** The variant, such as `fp16`; `""` for the plain weights. */
  readonly variant: string;
}

/** Rules by which a library names and finds the weights of its models. */
interface Library {
  /**
   * Beginnings of the file names, in order of precedence: the library's own, then the other library's.
   */
  readonly stems: readonly string[];
  /**
   * Whether an index with shards takes precedence over a single file. Both can exist after a repository was
   * updated.
   */
  readonly indexFirst: boolean;
}

const DIFFUSERS: Library = { stems: ["diffusion_pytorch_model", "model"], indexFirst: true };
const TRANSFORMERS: Library = { stems: ["model", "diffusion_pytorch_model"], indexFirst: false };

const LIBRARIES: Readonly<Record<ComponentName, Library>> = {
  transformer: DIFFUSERS,
  text_encoder: TRANSFORMERS,
  vae: DIFFUSERS,
  controlnet: DIFFUSERS,
};

// `model.fp16.safetensors`, `model.fp16-00001-of-00003.safetensors`, `model-00001-of-00003.fp16.safetensors`
const WEIGHT_FILE =
  /^(?<stem>diffusion_pytorch_model|model)(\.(?<variant>[\w-]+?))?(-\d{5}-of-\d{5})?(\.(?<old>[\w-]+))?\.safetensors$/;

const PICKLE_FILE = /\.(bin|ckpt|pt|pth)(\.index\.json)?$/;

const Index = z.looseObject({
  weight_map: z.record(
    z.string(),
    z.string().regex(/^[^/\\]+\.safetensors$/, "must name a safetensors file in the same folder"),
  ),
});

/**
 * Returns the variant of a file of weights.
 *
 * @param file The file's name.
 * @returns The variant, `""` for the plain weights; `undefined` if the file contains no weights.
 */
export function weightFileVariant(file: string): string | undefined {
  const groups = WEIGHT_FILE.exec(file)?.groups;
  return groups === undefined ? undefined : groups.variant ?? groups.old ?? "";
}

/** Returns the variants of the weights among a folder's files, sorted. The plain weights are `""`. */
export function variantsOf(files: readonly string[]): readonly string[] {
  const variants = files.map(weightFileVariant).filter((variant) => variant !== undefined);
  return [...new Set(variants)].sort();
}

/**
 * Returns the possible names of the index of a variant's shards: the current one, and the one that older
 * versions of diffusers used.
 */
export function indexNames(stem: string, variant: string): readonly string[] {
  if (variant === "") return [`${stem}.safetensors.index.json`];
  return [`${stem}.safetensors.index.${variant}.json`, `${stem}.safetensors.${variant}.index.json`];
}

/**
 * Finds the files that contain the weights of a component. If a folder contains both an index with shards and
 * a single file, the precedence of the component's library decides.
 *
 * @param source The checkpoint.
 * @param wanted The weights to find.
 * @returns The files.
 * @throws {MissingVariantError} if there are only weights of other variants.
 * @throws {CheckpointError} if there are no safetensors weights, or if the index names a missing file.
 */
export async function findWeightFiles(
  source: CheckpointSource,
  { component, folder, variant }: WantedWeights,
): Promise<WeightFiles> {
  const files = await source.list(folder);
  const { stems, indexFirst } = LIBRARIES[component];
  for (const stem of stems) {
    const single = `${stem}.${variant === "" ? "" : `${variant}.`}safetensors`;
    const index = indexNames(stem, variant).find((name) => files.includes(name));
    const hasSingle = files.includes(single);
    if (hasSingle && !(indexFirst && index !== undefined)) return { paths: [joinPath(folder, single)] };
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
    throw new CheckpointError(`Cannot parse ${label} as JSON: ${(cause as Error).message}`, { cause });
  }
  const { weight_map } = parseValue(
    Index,
    value,
    ({ clause }, options) =>
      new CheckpointError(`Cannot read ${label} as an index of weights: ${clause}`, options),
  );
  const map = Object.entries(weight_map);
  const shards = [...new Set(map.map(([, file]) => file))].sort();
  const missing = shards.filter((file) => !present.includes(file));
  if (missing.length > 0) {
    throw new CheckpointError(
      `Cannot read weights: ${label} names files that are missing, ${listNames(missing)}. ` +
        "Download them again",
    );
  }
  return {
    paths: shards.map((file) => joinPath(folder, file)),
    index: { path, files: new Map(map.map(([tensor, file]) => [tensor, joinPath(folder, file)])) },
  };
}

function noWeights(where: string, files: readonly string[], variant: string): CheckpointError {
  const wanted = variant === "" ? "the plain weights" : `the variant ${variant} of the weights`;
  const shards = files.filter((file) => weightFileVariant(file) === variant);
  if (shards.length > 0) {
    const stem = shards[0]!.startsWith("model") ? "model" : "diffusion_pytorch_model";
    return new CheckpointError(
      `Cannot read ${wanted} in ${where} because the index ${
        indexNames(stem, variant)[0]
      } of the shards is missing: ` +
        `there are ${shards.join(", ")}. Download the index too`,
    );
  }
  const variants = variantsOf(files);
  if (variants.length > 0) {
    const found = variants.map((name) => name === "" ? "the plain weights" : name).join(", ");
    return new MissingVariantError(
      `Cannot find ${wanted} in ${where}: available are ${found}. Choose one of these variants, or download the missing files`,
      { details: { field: "variant" } },
    );
  }
  const pickles = files.filter((file) => PICKLE_FILE.test(file));
  if (pickles.length > 0) {
    return new CheckpointError(
      `Cannot read the weights of ${where}: they must be safetensors files, but are ${
        listNames(pickles)
      }. Save them again with save_pretrained(..., safe_serialization=True)`,
    );
  }
  return new CheckpointError(
    `Cannot find the weights of ${where}: it must contain diffusion_pytorch_model.safetensors, model.safetensors ` +
      `or shards with their index, but contains ${listNames(files)}`,
  );
}
