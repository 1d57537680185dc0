/**
 * The reference runs with LoRA adapters, as requests and tensors.
 *
 * @module
 */

import assert from "node:assert/strict";
import { decodeSafetensors } from "../../artifacts/safetensors.ts";
import type { Tensor } from "../../artifacts/tensor.ts";
import type { PictureRequestInput } from "../../graph/picture_request.ts";
import { goldenJson, goldenPath } from "../goldens.ts";

const FOLDER = "extras/lora";

interface Limit {
  readonly max_abs: number;
  readonly rel_l2: number;
}

interface Entry {
  readonly calls?: readonly number[];
  readonly sample?: { readonly start: number; readonly stride: number };
}

/** A reference run. */
export interface LoraCase {
  readonly id: string;
  readonly checkpoint: string;
  readonly seed: number;
  readonly call: Readonly<Record<string, unknown>>;
  readonly lora: readonly (readonly [adapter: string, weight: number])[];
  readonly file: string;
  readonly tensors: Readonly<Record<string, Entry>>;
}

interface AdapterEntry {
  readonly id: string;
  readonly path: string;
  readonly for: string;
  readonly modules: Readonly<Record<string, { readonly r: number; readonly alpha: number | null }>>;
}

/** The adapters of the reference, with the rank and alpha of every layer. */
export const loraAdapters: readonly AdapterEntry[] =
  goldenJson<{ adapters: AdapterEntry[] }>(`${FOLDER}/adapters/manifest.json`).adapters;

/** Adapters that must be refused, and the reasons. */
export const invalidAdapters: readonly {
  readonly id: string;
  readonly path: string;
  readonly why: string;
}[] = goldenJson<{ adapters: { id: string; path: string; why: string }[] }>(`${FOLDER}/invalid/manifest.json`)
  .adapters;

/** The reference runs. */
export const loraCases: readonly LoraCase[] =
  goldenJson<{ cases: LoraCase[] }>(`${FOLDER}/manifest.json`).cases;

const limits = new Map(
  goldenJson<{ cases: { id: string; tolerance: Record<string, Limit> }[] }>(`${FOLDER}/tolerances.json`).cases
    .map(({ id, tolerance }) => [id, tolerance] as const),
);

/** Returns the path of an adapter. */
export function adapterPath(id: string): string {
  return goldenPath(`${FOLDER}/adapters/${loraAdapters.find((adapter) => adapter.id === id)!.path}`);
}

/** Returns the path of an adapter that must be refused. */
export function invalidPath(path: string): string {
  return goldenPath(`${FOLDER}/invalid/${path}`);
}

/** Reads the tensors of a run. */
export function loraTensors({ file }: Pick<LoraCase, "file">): Readonly<Record<string, Tensor>> {
  return decodeSafetensors(Deno.readFileSync(goldenPath(`${FOLDER}/${file}`)), file).tensors;
}

/** Returns the request that corresponds to a run. */
export function loraRequest({ checkpoint, call, seed, lora }: LoraCase): PictureRequestInput {
  const text = (name: string): string => String(call[name]);
  return {
    model: goldenPath(`checkpoints/${checkpoint}`),
    prompts: [text("prompt")],
    ...(call["negative_prompt"] === undefined ? {} : { negativePrompt: text("negative_prompt") }),
    height: Number(call["height"]),
    width: Number(call["width"]),
    steps: Number(call["num_inference_steps"]),
    guidanceScale: Number(call["guidance_scale"]),
    resolutionBinning: call["use_resolution_binning"] === true,
    seeds: [seed],
    loras: lora.map(([id, weight]) => ({ name: adapterPath(id), weight })),
  };
}

/** Compares a result with a tensor of the reference, or a part of it, within the run's own limits. */
export function holdLora(
  run: LoraCase,
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): void {
  const limit = limits.get(run.id)?.[name];
  assert(limit, `${run.id} has limits of ${name}`);
  const { start, stride } = run.tensors[name]?.sample ?? { start: 0, stride: 1 };
  assert.equal(Math.ceil((actual.length - start) / stride), expected.length, `${run.id}: ${name}`);
  let [largest, squares, reference] = [0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[start + i * stride]! - expected[i]!);
    largest = difference <= largest ? largest : difference;
    squares += difference ** 2;
    reference += expected[i]! ** 2;
  }
  assert(largest <= limit.max_abs, `${run.id}: ${name} is off by ${largest}, allowed ${limit.max_abs}`);
  const relative = Math.sqrt(squares / reference);
  assert(relative <= limit.rel_l2, `${run.id}: ${name} is off by ${relative} in L2, allowed ${limit.rel_l2}`);
}
