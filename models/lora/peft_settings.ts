// This module is browser compatible.

/**
 * PEFT's settings of a LoRA, from `adapter_config.json` or from `lora_adapter_metadata` in the header of a
 * file.
 *
 * Source: peft/tuners/lora/config.py and `get_pattern_key` of peft/utils/other.py, version 0.21.2.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { parseValue } from "../../errors/parse_value.ts";
import { AdapterError } from "./adapter_error.ts";

const pattern = z.record(z.string(), z.number()).nullish().transform((value) => value ?? {});

/** The rank, alpha and other options that determine the scale of a branch. */
const peftSettings = z.looseObject({
  peft_type: z.string().default("LORA"),
  r: z.int().positive(),
  lora_alpha: z.number(),
  rank_pattern: pattern,
  alpha_pattern: pattern,
  use_rslora: z.boolean().nullish(),
  bias: z.string().default("none"),
  init_lora_weights: z.unknown().optional(),
});

/**
 * Options with which PEFT computes something other than a low-rank branch, and the kind of adapter that each
 * creates.
 */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  use_dora: "a DoRA, which scales the columns of the merged weights",
  lora_bias: "a LoRA whose branches have biases",
  modules_to_save: "a LoRA with additional trained layers",
  layer_replication: "a LoRA that repeats layers of the model",
  use_qalora: "a QALoRA",
  use_bdlora: "a LoRA of block-diagonal matrices",
  alora_invocation_tokens: "an activated LoRA",
  trainable_token_indices: "a LoRA with trained tokens",
  target_parameters: "a LoRA of parameters that are not layers",
  arrow_config: "a router over LoRAs",
};

/** Initializations that also change the model's own weights. */
const CHANGES_BASE = /^(pissa|olora|corda|loftq|lora_ga)/;

/** The rank and the scale of one layer's branch. */
export interface BranchSettings {
  /** Number of channels between its two matrices. */
  readonly rank: number;
  /** Factor by which the branch is multiplied. */
  readonly scale: number;
}

/**
 * Reads PEFT's settings.
 *
 * @param settings The settings.
 * @param adapter Name of the adapter, for errors.
 * @returns A function that returns the rank and the scale of a layer's branch, given the module's name.
 * @throws {AdapterError} if they describe another kind of adapter, or if rank or alpha is missing.
 */
export function peftBranches(settings: JsonObject, adapter: string): (module: string) => BranchSettings {
  const fail = (what: string): never => {
    throw new AdapterError(`Cannot use ${adapter} as a LoRA because ${what}`);
  };
  const parsed = parseValue(
    peftSettings,
    settings,
    ({ clause }, options) =>
      new AdapterError(`Cannot read the configuration of ${adapter}: ${clause}`, options),
  );
  const { peft_type, r, lora_alpha, rank_pattern, alpha_pattern, use_rslora, bias, init_lora_weights } =
    parsed;
  if (peft_type !== "LORA") fail(`its peft_type must be LORA: current value is ${peft_type}`);
  for (const [option, kind] of Object.entries(OTHER_KINDS)) {
    if (isSet(settings[option])) fail(`${option} makes it ${kind}. Train a plain LoRA`);
  }
  if (bias !== "none") fail(`it contains biases of the model's layers: bias must be none, but is ${bias}`);
  if (typeof init_lora_weights === "string" && CHANGES_BASE.test(init_lora_weights)) {
    fail(
      `its init_lora_weights, ${init_lora_weights}, also changes the model's weights. Convert it to a plain LoRA`,
    );
  }
  const ranks = compile(rank_pattern, fail);
  const alphas = compile(alpha_pattern, fail);
  return (module) => {
    const rank = ranks(module) ?? r;
    return { rank, scale: (alphas(module) ?? lora_alpha) / (use_rslora ? Math.sqrt(rank) : rank) };
  };
}

function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== null && value !== false;
}

/**
 * Returns a function that finds a module's value. Keys are regular expressions that match the end of its
 * name; the first match applies.
 */
function compile(
  values: Readonly<Record<string, number>>,
  fail: (what: string) => never,
): (module: string) => number | undefined {
  const rules = Object.entries(values).map(([key, value]) => {
    try {
      return { rule: new RegExp(`^(?:.*\\.)?(?:${key})$`), value };
    } catch {
      return fail(`the key ${key} of its rank_pattern or alpha_pattern is not a regular expression`);
    }
  });
  return (module) => rules.find(({ rule }) => rule.test(module))?.value;
}
