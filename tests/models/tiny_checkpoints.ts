/**
 * The tiny checkpoints and their reference runs, for the tests of models.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readSafetensorsFile } from "../../artifacts/files_on_disk.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { type Component, openComponent } from "../../models/checkpoint/component.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import type { ComponentName } from "../../models/checkpoint/model_index.ts";
import { goldenJson, goldenPath, hasGolden } from "../goldens.ts";

/** The checkpoints with a text encoder and a transformer that are present. */
export const TINY_CHECKPOINTS: readonly string[] = [
  "tiny-alpha-512",
  "tiny-alpha-1024",
  "tiny-sigma",
  "tiny-lcm",
]
  .filter((checkpoint) => hasGolden(`checkpoints/${checkpoint}`));

/** Opens a component of a tiny checkpoint. */
export async function openTiny(
  checkpoint: string,
  component: ComponentName,
  variant = "",
): Promise<Component> {
  return await openComponent(await openDiskSource(goldenPath(`checkpoints/${checkpoint}`)), {
    component,
    variant,
  });
}

/** A part of a tensor: `flat[start::stride]`. */
export interface Sample {
  start: number;
  stride: number;
}

interface TensorEntry {
  shape: number[];
  sample?: Sample;
  calls?: number[];
}

/** A reference run, or the activations of one. */
export interface Golden {
  /** The checkpoint of the run. */
  checkpoint: string;
  /** The manifest's entries for its tensors. */
  entries: Record<string, TensorEntry>;
  /** The stored tensors. */
  tensors: Record<string, Tensor>;
}

interface CaseEntry {
  id: string;
  checkpoint: string;
  heavy: boolean;
  load: { variant?: string; vae?: string };
  call: { height?: number; width?: number; use_resolution_binning?: boolean };
  file: string;
  tensors: Record<string, TensorEntry>;
  identical?: Record<string, string>;
}

/** A case of the manifest and its tensors. */
export interface Case extends Golden, Pick<CaseEntry, "id" | "heavy" | "load" | "call"> {}

/** Reads the cases that `wanted` selects and that are present. */
export async function readCases(wanted: (entry: CaseEntry) => boolean): Promise<Case[]> {
  const { cases } = goldenJson<{ cases: CaseEntry[] }>("cases/manifest.json");
  const atHand = cases.filter(({ file, checkpoint }) =>
    hasGolden(`cases/${file}`) && hasGolden(`checkpoints/${checkpoint}`)
  );
  return await Promise.all(
    atHand.filter(wanted).map(async (entry) => {
      const { tensors } = await readSafetensorsFile(goldenPath(`cases/${entry.file}`));
      for (const [name, same] of Object.entries(entry.identical ?? {})) {
        if (tensors[same]) tensors[name] = tensors[same];
      }
      return { ...entry, entries: entry.tensors, tensors };
    }),
  );
}

/** Reads one case. */
export async function readCase(id: string): Promise<Case> {
  const [found] = await readCases((entry) => entry.id === id);
  assert(found, id);
  return found;
}

/** Reads the activations of a checkpoint, and the case from which they come. */
export async function readProbes(checkpoint: string): Promise<Golden & { run: Case }> {
  const { checkpoints } = goldenJson<
    {
      checkpoints: { checkpoint: string; case: string; file: string; tensors: Record<string, TensorEntry> }[];
    }
  >("probes/manifest.json");
  const entry = checkpoints.find((entry) => entry.checkpoint === checkpoint);
  assert(entry, checkpoint);
  const { tensors } = await readSafetensorsFile(goldenPath(`probes/${entry.file}`));
  return { checkpoint, entries: entry.tensors, tensors, run: await readCase(entry.case) };
}

/** Returns one or several entries of a tensor's first axis. */
export function rows<T extends Tensor>(value: T, first: number, count = 1): T {
  const size = value.data.length / value.shape[0]!;
  const data = value.data.slice(first * size, (first + count) * size);
  return tensor(value.dtype, [count, ...value.shape.slice(1)], data as never) as T;
}

/**
 * Returns the token ids of a text without padding. The case stores ids [texts, tokens] and a mask of the same
 * shape.
 */
export function realTokens(run: Golden, which: "prompt" | "negative", text = 0): number[] {
  const ids = rows(run.tensors[`${which}_input_ids`]!, text).data as BigInt64Array;
  const mask = rows(run.tensors[`${which}_attention_mask`]!, text).data as BigInt64Array;
  return Array.from(ids.subarray(0, mask.indexOf(0n) === -1 ? ids.length : mask.indexOf(0n)), Number);
}

/** Limits that must all hold. Each is optional. */
export interface Limits {
  maxAbs?: number;
  relL2?: number;
}

/** Asserts that values are within the limits. `golden` can be a sample of `actual`. */
export function assertNear(
  actual: ArrayLike<number>,
  golden: ArrayLike<number>,
  limits: Limits,
  what: string,
  sample: Sample = { start: 0, stride: 1 },
): void {
  const count = Math.ceil((actual.length - sample.start) / sample.stride);
  assert.equal(count, golden.length, `${what}: number of values`);
  let maxAbs = 0;
  let error = 0;
  let norm = 0;
  for (let i = 0; i < golden.length; i++) {
    const expected = golden[i]!;
    const difference = Math.abs(actual[sample.start + i * sample.stride]! - expected);
    maxAbs = difference <= maxAbs ? maxAbs : difference;
    error += difference ** 2;
    norm += expected ** 2;
  }
  const relL2 = Math.sqrt(error / norm);
  assert(maxAbs <= (limits.maxAbs ?? Infinity), `${what}: off by ${maxAbs}, allowed ${limits.maxAbs}`);
  assert(relL2 <= (limits.relL2 ?? Infinity), `${what}: off by ${relL2} in L2, allowed ${limits.relL2}`);
}
