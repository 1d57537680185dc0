/**
 * Deviations of a call's results from the reference, as fractions of limits.
 *
 * @module
 */

import { goldenJson } from "../goldens.ts";
import type { PipelineResult } from "./pipeline_call.ts";
import type { PixstageCall } from "./pixstage_call.ts";

/** Tensors whose noise floor is measured if they exceed the base limit: largest difference, relative L2. */
export type Floors = Readonly<Record<string, readonly number[]>>;

/** The noise floors of a call that was not measured. */
export const NO_FLOORS: Floors = {};

/** A tensor's deviation: largest difference and relative L2, with the base limits of both. */
export type Deviations = readonly {
  readonly what: string;
  readonly measured: readonly number[];
  readonly limits: readonly number[];
}[];

const FLOORS = 5;
/** The noise is equal bit for bit, but its factor, the noise level, can differ in the last bit. */
const FIRST_LATENTS = [Infinity, 1e-6];

const goldens = goldenJson<{ cases: { tolerance: Record<string, Record<string, number>> }[] }>(
  "cases/tolerances.json",
).cases;

/** The smallest limits of the goldens. Noisier runs are compared with their own noise floor. */
function baseLimits(tensor: string, measures: readonly string[]): number[] {
  return measures.map((measure) =>
    goldens.reduce(
      (least, { tolerance }) => Math.min(least, tolerance[tensor]?.[measure] ?? Infinity),
      Infinity,
    )
  );
}

const EMBEDDINGS = baseLimits("encoder_hidden_states", ["max_abs", "rel_l2"]);
const FINAL_LATENTS = baseLimits("final_latents", ["max_abs", "rel_l2"]);
const IMAGE = baseLimits("image_float", ["max_abs", "rel_l2"]);
const PIXELS = baseLimits("image_uint8", ["max_abs", "fraction_off_by_one"]);

/** Compares all results of a call whose shapes equal the reference's. */
export function compareCall(ours: PixstageCall, theirs: PipelineResult): Deviations {
  const texts = (name: string, mine: readonly Float32Array[] = [], other: readonly Float32Array[] = []) =>
    other.map((row, index) => {
      // One negative prompt applies to all prompts.
      const own = mine.length === 1 ? mine[0]! : mine[index] ?? new Float32Array();
      return { what: `${name} embeddings`, measured: difference(own, row), limits: EMBEDDINGS };
    });
  const image = ours.image.data.map((value) => Math.min(Math.max(value / 2 + 0.5, 0), 1));
  return [
    ...texts("prompt", ours.prompts, theirs.promptEmbeds),
    ...texts("negative", ours.negatives, theirs.negativeEmbeds),
    {
      what: "firstLatents",
      measured: difference(ours.firstLatents, theirs.firstLatents),
      limits: FIRST_LATENTS,
    },
    {
      what: "finalLatents",
      measured: difference(ours.finalLatents, theirs.finalLatents),
      limits: FINAL_LATENTS,
    },
    // The goldens' limits are for pictures from -1 to 1.
    {
      what: "image",
      measured: difference(image, theirs.image).map((value, at) => at === 0 ? 2 * value : value),
      limits: IMAGE,
    },
    { what: "pixels", measured: pixelDifference(image, theirs.image), limits: PIXELS },
  ];
}

/**
 * Returns the largest deviation as a fraction of its limit: five noise floors, but at least the base limit.
 */
export function largestShare(
  deviations: Deviations,
  floors: Floors,
): { readonly share: number; readonly what: string } {
  return deviations
    .map(({ what, measured, limits }) => ({
      what,
      share: Math.max(
        ...measured.map((value, at) => value / Math.max(limits[at]!, FLOORS * (floors[what]?.[at] ?? 0))),
      ),
    }))
    .reduce((most, entry) => entry.share <= most.share ? most : entry);
}

/** Returns the largest difference and the relative L2 distance. */
function difference(actual: Float32Array, expected: Float32Array): number[] {
  if (actual.length !== expected.length) return [Infinity, Infinity];
  let [largest, squares, reference] = [0, 0, 0];
  for (let index = 0; index < expected.length; index++) {
    const off = Math.abs(actual[index]! - expected[index]!);
    largest = Math.max(largest, off);
    squares += off ** 2;
    reference += expected[index]! ** 2;
  }
  return [largest, squares === 0 ? 0 : Math.sqrt(squares / reference)];
}

/** Returns the largest difference in 8 bits, and the fraction of values that differ. */
function pixelDifference(actual: Float32Array, expected: Float32Array): number[] {
  const bits = (value: number): number => Math.round(value * 255);
  let [largest, off] = [0, 0];
  for (let index = 0; index < expected.length; index++) {
    const step = Math.abs(bits(actual[index]!) - bits(expected[index]!));
    largest = Math.max(largest, step);
    if (step > 0) off++;
  }
  // Rounding can cause a difference of one step, so the number of such values is limited.
  return [largest > 1 ? largest : 0, off / expected.length];
}
