// This module is browser compatible.

/**
 * A LoRA adapter whose names, settings and alphas have been read, but not its matrices.
 *
 * @module
 */

import type { JsonObject } from "../../artifacts/artifact.ts";
import { toFloat32 } from "../../artifacts/half_precision.ts";
import { readSafetensorsHeader } from "../../artifacts/safetensors_header.ts";
import { parseLenientJson } from "../checkpoint/lenient_json.ts";
import { openSafetensorsWeights } from "../checkpoint/safetensors_weights.ts";
import { type CheckpointSource, joinPath } from "../checkpoint/source.ts";
import type { Weights } from "../checkpoint/weights.ts";
import { AdapterError } from "./adapter_error.ts";
import { type AdapterFiles, adapterFiles } from "./adapter_files.ts";
import { type AdapterPart, parseAdapterName } from "./adapter_names.ts";
import { type BranchSettings, peftBranches } from "./peft_settings.ts";

/** An adapter's tensors for one layer. */
export interface AdapterLayer {
  /** The layer's name as written in the adapter. */
  readonly name: string;
  /** Whether that name has `_` instead of `.`. */
  readonly isFlat: boolean;
  /** Names of its tensors in the adapter's file. */
  readonly tensors: Readonly<Partial<Record<AdapterPart, string>>>;
  /** The layer's alpha, if the file contains one. */
  readonly alpha?: number | undefined;
}

/** A LoRA adapter. */
export interface LoraAdapter {
  /** Name for errors and reports. */
  readonly name: string;
  /** The adapter's tensors. */
  readonly weights: Weights;
  /** The layers that the adapter changes. */
  readonly layers: readonly AdapterLayer[];
  /**
   * Returns the rank and the scale of a layer's branch according to PEFT's settings. Absent without such
   * settings.
   */
  readonly settings?: ((module: string) => BranchSettings) | undefined;
}

/** Header field in which diffusers stores PEFT's settings. */
const METADATA_FIELD = "lora_adapter_metadata";

/**
 * Opens an adapter. Reads its configuration, the header of its file, and its alphas, which are single
 * numbers.
 *
 * @param source The folder that contains it.
 * @param options Its name, and its file if the folder contains several.
 * @returns The adapter.
 * @throws {AdapterError} if it is not a LoRA of a transformer, or is incomplete.
 *
 * @example Usage
 * ```ts
 * import { openDiskSource } from "../checkpoint/disk_source.ts";
 * import { openAdapter } from "./adapter.ts";
 * const adapter = await openAdapter(await openDiskSource("models/pixstage-emoji/loras/chalk"));
 * console.assert(adapter.name === "chalk");
 * ```
 */
export async function openAdapter(
  source: CheckpointSource,
  options: { readonly folder?: string; readonly file?: string | undefined; readonly name?: string } = {},
): Promise<LoraAdapter> {
  const { folder = "", file, name = source.name } = options;
  const files: AdapterFiles = file === undefined
    ? adapterFiles(await source.list(folder), name)
    : { weights: file };
  const path = joinPath(folder, files.weights);
  const weights = await openSafetensorsWeights(source, name, { paths: [path] });
  const settings = files.config === undefined
    ? await headerSettings(source, path, name)
    : parseLenientJson(await source.readText(joinPath(folder, files.config)), `${name}/${files.config}`);
  // Parse settings first: they identify kinds of adapters that the tensors do not reveal.
  const branches = settings && peftBranches(settings, name);
  return { name, weights, layers: await readLayers(weights, name), settings: branches };
}

/** Reads PEFT's settings from the header of a file; `undefined` if there are none. */
async function headerSettings(
  source: CheckpointSource,
  path: string,
  name: string,
): Promise<JsonObject | undefined> {
  const size = await source.size(path);
  const read = (start: number, end: number) => source.readBytes(path, start, end);
  const { metadata } = await readSafetensorsHeader({ name: `${name}/${path}`, size, read });
  const text = metadata.get(METADATA_FIELD);
  if (text === undefined) return undefined;
  const fields = Object.entries(parseLenientJson(text, `${METADATA_FIELD} of ${name}`));
  const own = fields.map(([key, value]) => [key.replace(/^(transformer|unet)\./, ""), value] as const);
  return Object.fromEntries(own);
}

/** Groups the tensors by layer. */
async function readLayers(weights: Weights, name: string): Promise<AdapterLayer[]> {
  const layers = new Map<string, { isFlat: boolean; tensors: Partial<Record<AdapterPart, string>> }>();
  for (const tensor of weights.names) {
    const { layer, isFlat, part } = parseAdapterName(tensor, name);
    const tensors = layers.get(layer)?.tensors;
    const other = tensors?.[part];
    if (other !== undefined) {
      throw new AdapterError(
        `Cannot use ${name} as a LoRA because ${other} and ${tensor} name the same matrix`,
      );
    }
    layers.set(layer, { isFlat, tensors: { ...tensors, [part]: tensor } });
  }
  if (layers.size === 0) {
    throw new AdapterError(`Cannot use ${name} as a LoRA because it contains no tensors`);
  }
  return await Promise.all(Array.from(layers, async ([layer, { isFlat, tensors }]) => ({
    name: layer,
    isFlat,
    tensors,
    alpha: tensors.alpha === undefined ? undefined : await readAlpha(weights, tensors.alpha, name),
  })));
}

async function readAlpha(weights: Weights, tensor: string, name: string): Promise<number> {
  const { shape } = weights.locate(tensor);
  if (shape.reduce((product, size) => product * size, 1) !== 1) {
    throw new AdapterError(
      `Cannot use ${name} as a LoRA because ${tensor} must be a single number, but has the shape [${shape}]`,
    );
  }
  const [alpha] = toFloat32(await weights.read(tensor), tensor).data;
  if (alpha !== undefined && Number.isFinite(alpha)) return alpha;
  throw new AdapterError(
    `Cannot use ${name} as a LoRA because ${tensor} must be finite, but is ${alpha}`,
  );
}
