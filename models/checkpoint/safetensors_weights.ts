// This module is browser compatible.

/**
 * Weights in one safetensors file or in shards. Opening them reads only the headers.
 *
 * @module
 */

import { distance } from "fastest-levenshtein";
import { ARRAY_TYPES, bytesPerElement, type DType } from "../../artifacts/dtype.ts";
import { memoryDType } from "../../artifacts/safetensors_dtypes.ts";
import { readSafetensorsHeader, type SafetensorsEntry } from "../../artifacts/safetensors_header.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import { nameFilePart } from "../../runtime/file_part.ts";
import { CheckpointError, MissingWeightError, WeightShapeError } from "./checkpoint_errors.ts";
import type { CheckpointSource, FileLocation } from "./source.ts";
import type { WeightFiles } from "./weight_files.ts";
import type { WeightLocation, Weights } from "./weights.ts";

const SUGGESTIONS = 3;

/** A tensor's header entry and its file. */
interface Place {
  readonly entry: SafetensorsEntry;
  readonly path: string;
  readonly location: FileLocation | undefined;
}

/**
 * Opens the weights of a component. Reads the header of each file, and checks the headers against each other,
 * the index and the file sizes.
 *
 * @param source The checkpoint.
 * @param component Name of the component, for errors.
 * @param files The files.
 * @returns The weights.
 * @throws {SafetensorsError} if a file is truncated or not safetensors.
 * @throws {CheckpointError} if two files contain the same tensor, or if the index contradicts the files.
 */
export async function openSafetensorsWeights(
  source: CheckpointSource,
  component: string,
  files: WeightFiles,
): Promise<Weights> {
  const places = new Map<string, Place>();
  for (const path of files.paths) {
    const size = await source.size(path);
    await refusePointer(source, path, size);
    const header = await readSafetensorsHeader({
      name: `${source.name}/${path}`,
      size,
      read: (start, end) => source.readBytes(path, start, end),
    });
    const location = await source.locate?.(path);
    for (const [name, entry] of header.tensors) {
      const other = places.get(name);
      if (other !== undefined) {
        throw new CheckpointError(
          `Cannot read the weights of ${component} because ${name} must be in one file, ` +
            `but is in ${other.path} and ${path}`,
        );
      }
      places.set(name, { entry, path, location });
    }
  }
  refuseScaled(component, places);
  for (const [name, path] of files.index?.files ?? []) {
    const found = places.get(name)?.path;
    if (found === path) continue;
    throw new CheckpointError(
      `Cannot read the weights of ${component} because ${files.index?.path} says that ${name} is in ${path}, ` +
        `but it is in ${found ?? "none of the files"}`,
    );
  }
  return new SafetensorsWeights(source, component, places);
}

class SafetensorsWeights implements Weights {
  readonly component: string;
  readonly names: readonly string[];
  readonly #source: CheckpointSource;
  readonly #places: ReadonlyMap<string, Place>;

  constructor(source: CheckpointSource, component: string, places: ReadonlyMap<string, Place>) {
    this.component = component;
    this.names = [...places.keys()];
    this.#source = source;
    this.#places = places;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  locate(name: string, shape?: readonly number[]): WeightLocation {
    const { entry, path, location } = this.#place(name);
    if (shape !== undefined && String(shape) !== String(entry.shape)) {
      throw new WeightShapeError(
        `Cannot use ${name} of ${this.component} because its shape must be [${shape}] according to the ` +
          `configuration, but is [${entry.shape}] in ${path}`,
      );
    }
    if (location === undefined) {
      throw new CheckpointError(
        `Cannot locate ${name} of ${this.component}: weights cannot be used from the place of ${path}`,
      );
    }
    const { offset, length } = entry;
    const { folder, file, isRemote } = location;
    const place = isRemote
      ? { file: nameFilePart({ file, start: offset, end: offset + length }), offset: 0 }
      : { file, offset };
    return { name, dtype: this.#dtype(entry), shape: entry.shape, folder, ...place, length };
  }

  async read(name: string): Promise<Tensor> {
    const { entry, path } = this.#place(name);
    const dtype = this.#dtype(entry);
    const bytes = await this.#source.readBytes(path, entry.offset, entry.offset + entry.length);
    return tensor(dtype, entry.shape, new ARRAY_TYPES[dtype](bytes.buffer));
  }

  async readElements(name: string, first: number, end: number): Promise<Tensor> {
    const { entry, path } = this.#place(name);
    const dtype = this.#dtype(entry);
    const size = bytesPerElement(dtype);
    const bytes = await this.#source.readBytes(path, entry.offset + first * size, entry.offset + end * size);
    return tensor(dtype, [end - first], new ARRAY_TYPES[dtype](bytes.buffer));
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (place !== undefined) return place;
    const near = this.names.map((known) => ({ known, edits: distance(known, name) }))
      .sort((a, b) => a.edits - b.edits).slice(0, SUGGESTIONS).map(({ known }) => known);
    throw new MissingWeightError(
      `Cannot find ${name} among the weights of ${this.component}: ` +
        `${near.length === 0 ? "there are no tensors" : `the nearest names are ${near.join(", ")}`}`,
    );
  }

  #dtype(entry: SafetensorsEntry): DType {
    const dtype = memoryDType(entry.dtype);
    if (dtype !== undefined) return dtype;
    throw new CheckpointError(
      `Cannot use ${entry.name} of ${this.component} because its element type, ${entry.dtype}, is not supported`,
    );
  }
}

/**
 * Names that ComfyUI and other programs use for the scales of 8-bit floats. transformers ignores such scales.
 */
const SCALES = /(^|\.)(scaled_fp8|scale_weight|weight_scale|weight_scale_inv)$/;

/** Rejects scaled 8-bit floats, which would produce wrong pictures without their scales. */
function refuseScaled(component: string, places: ReadonlyMap<string, Place>): void {
  const scale = [...places.keys()].find((name) => SCALES.test(name));
  const float8 = [...places.values()].find(({ entry }) => entry.dtype.startsWith("F8_"));
  if (scale === undefined || float8 === undefined) return;
  throw new CheckpointError(
    `Cannot read the weights of ${component} because their 8-bit floats are scaled, by ${scale} in ${float8.path}: ` +
      "use a file with unscaled 8-bit floats, or with 16-bit ones",
  );
}

/** Rejects Git LFS pointers: small text files that replace the weights in a clone made without Git LFS. */
async function refusePointer(source: CheckpointSource, path: string, size: number): Promise<void> {
  const prefix = "version https://git-lfs";
  if (size < prefix.length || size > 1024) return;
  const start = new TextDecoder().decode(await source.readBytes(path, 0, prefix.length));
  if (start !== prefix) return;
  throw new CheckpointError(
    `Cannot read ${source.name}/${path} because it is a Git LFS pointer of ${size} bytes instead of the weights: ` +
      "run git lfs pull there",
  );
}
