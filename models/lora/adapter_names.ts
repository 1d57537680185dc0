// This module is browser compatible.

/**
 * Parses the tensor names of LoRA adapters written by PEFT, diffusers, kohya's scripts, OneTrainer and
 * SimpleTuner.
 *
 * @module
 */

import { AdapterError } from "./adapter_error.ts";

/** The role of a tensor in its layer's branch. */
export type AdapterPart = "down" | "up" | "alpha";

/** A parsed tensor name. */
export interface AdapterTensorName {
  /**
   * The layer's module name. If {@linkcode AdapterTensorName.isFlat} is true, it has `_` instead of `.` and
   * can be resolved only with the model.
   */
  readonly layer: string;
  /** Whether the layer's name has `_` instead of `.`. */
  readonly isFlat: boolean;
  /** The role of the tensor in the layer's branch. */
  readonly part: AdapterPart;
}

/**
 * Suffixes of names and the roles that they denote. PEFT includes the adapter's own name, such as `default`,
 * in state dicts that are not exported.
 */
const ENDINGS: readonly (readonly [ending: RegExp, part: AdapterPart])[] = [
  [/\.(lora_A(\.default)?|lora_down|lora\.down)\.weight$/, "down"],
  [/\.(lora_B(\.default)?|lora_up|lora\.up)\.weight$/, "up"],
  [/\.alpha$/, "alpha"],
];

/** Prefix of a module's name. PixArt's training script leaves PEFT's prefix inside diffusers' prefix. */
const PREFIX = /^(base_model\.model\.|((transformer|unet)\.)(base_model\.model\.)?)/;
/** Prefix of a module's name that has `_` instead of `.`. */
const FLAT_PREFIX = /^(lora_transformer_|lora_unet_)/;

/** Patterns of tensors that belong to other kinds of adapters, or that a low-rank branch cannot express. */
const OTHERS: readonly (readonly [name: RegExp, what: string])[] = [
  [/lora_magnitude_vector|dora_scale/, "It is a DoRA, which scales the columns of the merged weights"],
  [/\blokr_/, "It is a LoKr, which multiplies by Kronecker products"],
  [/\bhada_/, "It is a LoHa, which multiplies by Hadamard products"],
  [/\boft_/, "It is an OFT, which rotates weights"],
  [
    /^(lora_te\d?_|text_encoder(_\d)?\.)/,
    "It adapts a text encoder, but only adapters of the transformer are supported",
  ],
  [/\.lora_B(\.default)?\.bias$/, "Its branches have biases (lora_bias)"],
  [/\.lora_mid\.weight$/, "Its branches have a third matrix (lora_mid)"],
];

/**
 * Parses the name of an adapter's tensor.
 *
 * @param name The name in the file.
 * @param adapter Name of the adapter, for errors.
 * @returns The layer and the role of the tensor.
 * @throws {AdapterError} if the tensor does not belong to a LoRA of a transformer.
 */
export function parseAdapterName(name: string, adapter: string): AdapterTensorName {
  const other = OTHERS.find(([pattern]) => pattern.test(name));
  if (other) {
    throw new AdapterError(`Cannot use ${adapter} as a LoRA because it contains ${name}. ${other[1]}`);
  }
  const found = ENDINGS.find(([ending]) => ending.test(name));
  if (!found) {
    throw new AdapterError(
      `Cannot use ${adapter} as a LoRA because it contains ${name}, which is none of lora_A, lora_B, lora_down, ` +
        "lora_up and alpha. Save only the LoRA, without other trained layers and biases",
    );
  }
  const module = name.replace(found[0], "");
  const isFlat = FLAT_PREFIX.test(module);
  return { layer: module.replace(isFlat ? FLAT_PREFIX : PREFIX, ""), isFlat, part: found[1] };
}
