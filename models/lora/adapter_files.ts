// This module is browser compatible.

/**
 * Selects the files of a folder or repository that form a LoRA adapter.
 *
 * @module
 */

import { listNames } from "../../errors/list_names.ts";
import { AdapterError } from "./adapter_error.ts";

/** The files of an adapter. */
export interface AdapterFiles {
  /** The safetensors file. */
  readonly weights: string;
  /** PEFT's configuration in the same folder, if any. */
  readonly config?: string | undefined;
}

/** File name of PEFT's configuration. */
const PEFT_CONFIG = "adapter_config.json";
/** File name of PEFT's weights. */
const PEFT_WEIGHTS = "adapter_model.safetensors";
/** File name that diffusers' `save_lora_weights` uses. */
const DIFFUSERS_WEIGHTS = "pytorch_lora_weights.safetensors";

/**
 * Chooses the files of an adapter: PEFT's two files, otherwise diffusers' file, otherwise the only
 * safetensors file. PixArt's training script writes both PEFT's files and a diffusers file without alpha, so
 * PEFT's files take precedence.
 *
 * @param files Names of the files directly in the folder.
 * @param name Name of the folder, for errors.
 * @returns The files.
 * @throws {AdapterError} if there is no such file, or if the choice is ambiguous.
 */
export function adapterFiles(files: readonly string[], name: string): AdapterFiles {
  if (files.includes(PEFT_CONFIG) && files.includes(PEFT_WEIGHTS)) {
    return { weights: PEFT_WEIGHTS, config: PEFT_CONFIG };
  }
  if (files.includes(PEFT_WEIGHTS)) {
    throw new AdapterError(
      `Cannot use ${name} as a LoRA because ${PEFT_CONFIG} is missing next to ${PEFT_WEIGHTS}. Download it too: ` +
        "only it contains rank and alpha",
    );
  }
  if (files.includes(DIFFUSERS_WEIGHTS)) return { weights: DIFFUSERS_WEIGHTS };
  const found = files.filter((file) => file.endsWith(".safetensors"));
  if (found.length === 1) return { weights: found[0]! };
  throw new AdapterError(
    found.length === 0
      ? `Cannot find a LoRA in ${name}: it must contain ${PEFT_CONFIG} and ${PEFT_WEIGHTS}, or a safetensors file, ` +
        `but contains ${listNames(files)}`
      : `${name} contains several safetensors files, ${listNames(found)}: name one of them`,
    { code: found.length === 0 ? "adapter_not_found" : "invalid_adapter" },
  );
}
