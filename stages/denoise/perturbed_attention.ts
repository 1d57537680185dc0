// This module is browser compatible.

/**
 * Perturbed attention guidance (Ahn et al. 2024, https://arxiv.org/abs/2403.17377). It moves the prediction
 * away from that of a perturbed network. In some of that network's self-attentions, each token attends only
 * to itself. Reference: diffusers' pipelines/pag/pag_utils.py and pipeline_pag_pixart_sigma.py.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { InputError } from "../../errors/pixstage_error.ts";

/** Default patterns, as in `PixArtSigmaPAGPipeline`. */
const DEFAULT_LAYERS = ["blocks.1"];

/** Maximum length of a pattern. */
const LONGEST_PATTERN = 64;
/** Maximum number of quantifiers in a pattern. With more, a search could take long. */
const MOST_QUANTIFIERS = 3;
/** Quantifiers, escapes and classes of a regular expression. */
const QUANTIFIER = /\\.|\[(?:\\.|[^\]\\])*\]|([*+?{])/g;

const pattern = z.string().min(1).max(LONGEST_PATTERN)
  .refine(isRegExp, "It must be a regular expression")
  .refine(
    (text) => quantifiers(text) <= MOST_QUANTIFIERS && !/\)[*+?{]|\(\?|\\[1-9k]/.test(text),
    `It must have at most ${MOST_QUANTIFIERS} quantifiers, none of them after a group, and no look-around`,
  );

/** The parameters of perturbed attention guidance. */
export const pagParameters = {
  /** Scale of perturbed attention guidance. 3 is usual. The default is 0, which turns it off. */
  pagScale: z.number().nonnegative().optional(),
  /** Regular expressions that are searched for in the names of self-attentions. The default is "blocks.1". */
  pagLayers: z.array(pattern).max(64).optional(),
  /**
   * Amount by which the scale falls with each timestep below 1000, down to 0. The default is 0: the scale
   * does not fall.
   */
  pagAdaptiveScale: z.number().nonnegative().optional(),
};

/** The parameters of perturbed attention guidance, parsed. */
export type PagParameters = z.infer<z.ZodObject<typeof pagParameters>>;

/** The perturbed attention guidance of a run. */
export interface PerturbedAttention {
  /** Scale of the guidance. */
  readonly scale: number;
  /** Amount by which the scale falls with each timestep below 1000. */
  readonly adaptiveScale: number;
  /** Names of the perturbed self-attentions. */
  readonly layers: readonly string[];
}

/**
 * Resolves perturbed attention guidance. A pattern can match anywhere in a name, as in diffusers. "blocks.1"
 * therefore also matches blocks 10 to 19, because diffusers' guard against that looks at the last part of a
 * name, which is `attn1`.
 *
 * @param parameters Its parameters.
 * @param names Names of the network's self-attentions, or `undefined` if none of them can be selected.
 * @returns The resolved settings, or `undefined` if it is off.
 * @throws {InputError} if a pattern matches no name.
 */
export function resolvePag(
  { pagScale = 0, pagLayers = DEFAULT_LAYERS, pagAdaptiveScale = 0 }: PagParameters,
  names: readonly string[] | undefined,
): PerturbedAttention | undefined {
  if (pagScale === 0 || pagLayers.length === 0) return undefined;
  const found = new Set<string>();
  for (const pattern of pagLayers) {
    const hits = (names ?? []).filter((name) => new RegExp(pattern).test(name));
    if (hits.length === 0) {
      throw new InputError(
        "invalid_value",
        `No self-attention has a name that matches "${pattern}": ` +
          (names?.length ? `the names are ${names[0]} to ${names.at(-1)}` : "this transformer names none"),
        { details: { field: "pagLayers" } },
      );
    }
    for (const name of hits) found.add(name);
  }
  const layers = (names ?? []).filter((name) => found.has(name));
  return { scale: pagScale, adaptiveScale: pagAdaptiveScale, layers };
}

/**
 * Returns the scale at a timestep: `scale - adaptive · (1000 - t)`, at least 0, in float32 as torch computes
 * it. diffusers' own pipeline fails here because it compares a row of timesteps with 0.
 */
export function pagScaleAt({ scale, adaptiveScale }: PerturbedAttention, timestep: number): number {
  if (adaptiveScale === 0) return Math.fround(scale);
  const fallen = Math.fround(Math.fround(adaptiveScale) * Math.fround(1000 - timestep));
  return Math.max(0, Math.fround(Math.fround(scale) - fallen));
}

/**
 * Moves a prediction away from the perturbed one: `prediction + scale · (positive - perturbed)`, in float32
 * and in the order of operations of diffusers.
 *
 * @param prediction The guided prediction, or `positive` itself without guidance.
 * @param positive The prediction for the prompt.
 * @param perturbed The prediction for the prompt with perturbed attention.
 * @param scale The scale.
 * @returns A new array.
 */
export function pushAway(
  prediction: Float32Array,
  positive: Float32Array,
  perturbed: Float32Array,
  scale: number,
): Float32Array {
  return prediction.map((value, index) =>
    value + Math.fround(scale * Math.fround(positive[index]! - perturbed[index]!))
  );
}

/** Returns the part of a result's identity that perturbed attention guidance determines. */
export function pagIdentity(pag: PerturbedAttention): JsonObject {
  const { scale, adaptiveScale, layers } = pag;
  return { scale, adaptiveScale, layers: [...layers] };
}

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text) !== undefined;
  } catch {
    return false;
  }
}

function quantifiers(text: string): number {
  return [...text.matchAll(QUANTIFIER)].filter((match) => match[1] !== undefined).length;
}
