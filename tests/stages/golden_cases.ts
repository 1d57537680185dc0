/**
 * The end-to-end cases of the goldens, as requests and tensors.
 *
 * @module
 */

import { decodeSafetensors } from "../../artifacts/safetensors.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import type { PictureRequestInput } from "../../graph/picture_request.ts";
import { goldenJson, goldenPath, hasGolden } from "../goldens.ts";
import { golden, type Need } from "../needing.ts";

/** A case as the manifest describes it. */
export interface GoldenCase {
  readonly id: string;
  readonly checkpoint: string;
  readonly heavy: boolean;
  readonly load: {
    readonly variant?: string;
    readonly vae?: string;
    readonly scheduler?: { readonly class: string; readonly overrides: Record<string, never> };
  };
  readonly seed: number | number[] | null;
  readonly call: Readonly<Record<string, unknown>>;
  /**
   * The call of encode_prompt if the case follows the low-memory recipe. It only cleans captions on request.
   */
  readonly encode_prompt?: { readonly prompt: string };
  readonly facts: { readonly batch: number };
  readonly file: string;
  readonly tensors: Readonly<
    Record<string, { shape: number[]; calls?: number[]; sample?: { start: number; stride: number } }>
  >;
  readonly identical: Readonly<Record<string, string>>;
  readonly png?: string;
}

interface Limits {
  readonly max_abs: number;
  readonly rel_l2?: number;
  readonly fraction_off_by_one?: number;
}

const limits: ReadonlyMap<string, Readonly<Record<string, Limits>>> = new Map(
  goldenJson<{ cases: { id: string; tolerance: Record<string, Limits> }[] }>("cases/tolerances.json").cases
    .map(({ id, tolerance }) => [id, tolerance]),
);

/** All cases of the manifest. */
export const goldenCases: readonly GoldenCase[] =
  goldenJson<{ cases: GoldenCase[] }>("cases/manifest.json").cases;

/** Returns the files that a case needs. */
export function caseFiles({ checkpoint, file }: GoldenCase): Need {
  const missing = [`checkpoints/${checkpoint}`, `cases/${file}`].find((path) => !hasGolden(path));
  return golden(missing ?? `cases/${file}`);
}

/** Reads the tensors of a case. */
export function caseTensors(golden: GoldenCase): Readonly<Record<string, Tensor>> {
  return decodeSafetensors(Deno.readFileSync(goldenPath(`cases/${golden.file}`)), golden.file).tensors;
}

/** Returns the request that corresponds to a case's call. */
export function caseRequest(golden: GoldenCase): PictureRequestInput {
  const { call, load, seed, encode_prompt: recipe } = golden;
  const prompt = recipe?.prompt ?? call["prompt"];
  const fields: Record<string, unknown> = {
    model: goldenPath(`checkpoints/${golden.checkpoint}`),
    variant: load.variant,
    vae: load.vae && goldenPath(`checkpoints/${load.vae}`),
    prompts: [prompt].flat(),
    negativePrompt: call["negative_prompt"],
    height: call["height"],
    width: call["width"],
    steps: call["timesteps"] ? undefined : call["num_inference_steps"],
    timesteps: call["timesteps"],
    guidanceScale: call["guidance_scale"],
    imagesPerPrompt: call["num_images_per_prompt"],
    resolutionBinning: call["use_resolution_binning"],
    cleanCaption: recipe ? false : call["clean_caption"],
    maxSequenceLength: call["max_sequence_length"],
    eta: call["eta"],
    scheduler: load.scheduler?.class,
    schedulerOptions: load.scheduler?.overrides,
    seeds: seed === null ? undefined : [seed].flat(),
  };
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as unknown as PictureRequestInput;
}

/**
 * Compares a result with the golden tensor of a case, within the case's own limits.
 *
 * @returns The largest deviation as a fraction of the limit. A value below 1 is within the limit.
 */
export function deviation(
  golden: GoldenCase,
  tensors: Readonly<Record<string, Tensor>>,
  name: string,
  actual: ArrayLike<number>,
): number {
  const source = golden.identical[name] ?? name;
  const expected = tensors[source];
  const limit = limits.get(golden.id)?.[name] ?? limits.get(golden.id)?.[source];
  if (!expected || !limit) throw new Error(`${golden.id} has no ${name}`);
  const { start, stride } = golden.tensors[source]?.sample ?? { start: 0, stride: 1 };
  if (Math.ceil((actual.length - start) / stride) !== expected.data.length) {
    throw new Error(
      `${golden.id}: ${name} has ${actual.length} values, expected are ${expected.data.length}`,
    );
  }
  let [largest, squares, reference, off] = [0, 0, 0, 0];
  for (let i = 0; i < expected.data.length; i++) {
    const wanted = Number(expected.data[i]);
    const difference = Math.abs(actual[start + i * stride]! - wanted);
    if (Number.isNaN(difference)) return NaN;
    largest = Math.max(largest, difference);
    squares += difference ** 2;
    reference += wanted ** 2;
    off += difference > 0 ? 1 : 0;
  }
  const shares = [largest / limit.max_abs];
  if (limit.rel_l2 !== undefined) shares.push(Math.sqrt(squares / reference) / limit.rel_l2);
  if (limit.fraction_off_by_one !== undefined) {
    shares.push(off / expected.data.length / limit.fraction_off_by_one);
  }
  return Math.max(...shares);
}
