// This module is browser compatible.

/**
 * Names of the tensors of LoRA adapters, as PEFT, diffusers, kohya's scripts, OneTrainer and SimpleTuner write them.
 *
 * @module
 */

import { AdapterError } from "./adapter_error.ts";

/** What a tensor of an adapter is to its layer. */
export type AdapterPart = "down" | "up" | "alpha";

/** A name that was read. */
export interface AdapterTensorName {
  /**
   * The layer: the module's name, or, where {@linkcode AdapterTensorName.isFlat} says so, that name with `_` in the place
   * of `.`, which cannot be split back without the model.
   */
  readonly layer: string;
  /** Whether the layer's name has `_` in the place of `.`. */
  readonly isFlat: boolean;
  /** What it is to the layer. */
  readonly part: AdapterPart;
}

/** Endings of names, with what they are. PEFT writes an adapter's own name, such as `default`, in a state that is not exported. */
const ENDINGS: readonly (readonly [ending: RegExp, part: AdapterPart])[] = [
  [/\.(lora_A(\.default)?|lora_down|lora\.down)\.weight$/, "down"],
  [/\.(lora_B(\.default)?|lora_up|lora\.up)\.weight$/, "up"],
  [/\.alpha$/, "alpha"],
];

/** What stands before the module's name. PixArt's training script leaves PEFT's prefix inside diffusers' one. */
const PREFIX = /^(base_model\.model\.|((transformer|unet)\.)(base_model\.model\.)?)/;
/** What stands before a module's name that has `_` in the place of `.`. */
const FLAT_PREFIX = /^(lora_transformer_|lora_unet_)/;

/** Tensors that belong to other kinds of adapters, or to what a low-rank branch cannot say. */
const OTHERS: readonly (readonly [name: RegExp, what: string])[] = [
  [/lora_magnitude_vector|dora_scale/, "It is a DoRA, which scales the columns of the merged weights"],
  [/\blokr_/, "It is a LoKr, which multiplies by Kronecker products"],
  [/\bhada_/, "It is a LoHa, which multiplies by Hadamard products"],
  [/\boft_/, "It is an OFT, which rotates weights"],
  [
    /^(lora_te\d?_|text_encoder(_\d)?\.)/,
    "It adapts a text encoder: adapters of the transformer alone can be used",
  ],
  [/\.lora_B(\.default)?\.bias$/, "Its branches have biases (lora_bias)"],
  [/\.lora_mid\.weight$/, "Its branches have a third matrix (lora_mid)"],
];

/**
 * Reads the name of an adapter's tensor.
 *
 * @param name The name in the file.
 * @param adapter What the adapter is called, for errors.
 * @returns What it says.
 * @throws {AdapterError} if it is not of a LoRA of a transformer.
 */
export function parseAdapterName(name: string, adapter: string): AdapterTensorName {
  const other = OTHERS.find(([pattern]) => pattern.test(name));
  if (other) throw new AdapterError(`Cannot use ${adapter} as a LoRA as it holds ${name}. ${other[1]}`);
  const found = ENDINGS.find(([ending]) => ending.test(name));
  if (!found) {
    throw new AdapterError(
      `Cannot use ${adapter} as a LoRA as it holds ${name}, which is none of lora_A, lora_B, lora_down, lora_up and ` +
        "alpha. Save it without trained layers and biases beside the LoRA",
    );
  }
  const module = name.replace(found[0], "");
  const isFlat = FLAT_PREFIX.test(module);
  return { layer: module.replace(isFlat ? FLAT_PREFIX : PREFIX, ""), isFlat, part: found[1] };
}
