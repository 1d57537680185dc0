/**
 * Writes a synthetic checkpoint in diffusers' layout: the names, shapes and shards of a published one, with
 * random weights. Use it to measure memory and speed without a download.
 *
 * @module
 */

import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { writeAtomically } from "../../disk/atomic_write.ts";
import { checkFreeSpace } from "../../disk/free_space.ts";
import { onDisk } from "../../disk/file_error.ts";
import type { FloatDType } from "../../artifacts/half_precision.ts";
import {
  plannedBytes,
  type PlannedTensor,
  safetensorsHeaderBytes,
} from "../../artifacts/safetensors_layout.ts";
import { elementCount } from "../../artifacts/tensor.ts";
import { PixstageError } from "../../errors/pixstage_error.ts";
import { syntheticPreset } from "../architectures.ts";
import type { RequiredWeight } from "./required_weights.ts";
import { RandomValues } from "./random_values.ts";
import { untrainedTokenizer } from "./untrained_tokenizer.ts";

/** Options for writing a synthetic checkpoint. */
export interface SyntheticCheckpointOptions {
  /**
   * Element type of the weights.
   *
   * @default {"float32"}
   */
  readonly dtype?: FloatDType;
  /**
   * Name of the preset; `xl-1024` has the sizes of PixArt-XL-2-1024-MS.
   *
   * @default {"xl-1024"}
   */
  readonly preset?: string;
  /** Called before each file is written. */
  readonly onFile?: (file: { readonly path: string; readonly bytes: number }) => void;
  /** Signal that aborts the writing. Finished files remain. */
  readonly signal?: AbortSignal;
}

/** Thrown if the folder already contains something else. */
export class SyntheticFolderError extends PixstageError<"folder_in_use"> {
  override name = "SyntheticFolderError";

  /** @param message The folder and its content. */
  constructor(message: string) {
    super("folder_in_use", message);
  }
}

/** Marks a folder as a synthetic checkpoint, which can be overwritten without losing anyone's weights. */
const MARK = "synthetic.json";
/** The mark of folders written by versions that called the command `rehearse`. */
const OLD_MARK = "rehearsal.json";
const INDEX = "model_index.json";

/** Size of the buffer in which small pieces are collected before writing. */
const WRITE_BYTES = 1 << 22;

/**
 * Writes a checkpoint with random weights. Only a few blocks of noise are in memory at a time. A folder that
 * already contains a synthetic checkpoint is overwritten.
 *
 * @param folder The target folder; created if necessary.
 * @param options Preset and element type.
 * @returns Size of all weights in bytes.
 * @throws {InputError} if the preset does not exist.
 * @throws {SyntheticFolderError} if the folder is neither empty nor a synthetic checkpoint.
 * @throws {FileError} if writing fails.
 */
export async function writeSyntheticCheckpoint(
  folder: string,
  options: SyntheticCheckpointOptions = {},
): Promise<number> {
  const { dtype = "float32", preset: name = "xl-1024" } = options;
  const { files, index, pieces, components } = syntheticPreset(name, dtype);
  await checkFolder(folder);
  const models = components.flatMap(({ weights }) => weights);
  const bytes = models.reduce((sum, { shape }) => sum + plannedBytes({ dtype, shape }), 0);
  await onDisk("write", folder, mkdir(folder, { recursive: true }));
  await checkFreeSpace(join(folder, INDEX), bytes - await weightBytes(folder));
  const largest = Math.max(...models.map(({ shape }) => elementCount(shape)));
  const writer = new CheckpointWriter(folder, new RandomValues(dtype, largest), dtype, options);
  await writer.json(MARK, { preset: name, dtype });
  // A folder without an index is not a checkpoint. So a half-written checkpoint, or a mixture of two, is
  // never opened.
  await onDisk("write", join(folder, INDEX), rm(join(folder, INDEX), { force: true }));
  await writer.text("tokenizer/tokenizer.json", untrainedTokenizer(pieces));
  for (const [path, config] of Object.entries(files)) await writer.json(path, config);
  for (const { stem, weights, shardBytes } of components) await writer.weights(stem, weights, shardBytes);
  await writer.json(INDEX, index);
  return writer.bytes;
}

async function checkFolder(folder: string): Promise<void> {
  const found = await readdir(folder).catch((): string[] => []);
  if (found.length === 0 || found.includes(MARK) || found.includes(OLD_MARK)) return;
  throw new SyntheticFolderError(
    `Cannot write a synthetic checkpoint into ${folder}: it must be empty or contain an older one, but contains ${
      found.slice(0, 3).join(", ")
    } and no ${MARK}`,
  );
}

/** Returns the size in bytes of the weights of an older synthetic checkpoint that will be overwritten. */
async function weightBytes(folder: string): Promise<number> {
  const found = await readdir(folder, { recursive: true });
  const files = found.filter((name) => name.endsWith(".safetensors"));
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Distributes weights in order to shards, filling each shard before starting the next. */
export function cutShards(weights: readonly RequiredWeight[], shardBytes: number): RequiredWeight[][] {
  const shards: RequiredWeight[][] = [];
  let room = 0;
  for (const weight of weights) {
    const bytes = plannedBytes({ dtype: "float32", shape: weight.shape });
    if (shards.length === 0 || bytes > room) {
      shards.push([]);
      room = shardBytes;
    }
    shards.at(-1)!.push(weight);
    room -= bytes;
  }
  return shards;
}

class CheckpointWriter {
  bytes = 0;
  readonly #folder: string;
  readonly #dtype: FloatDType;
  readonly #options: SyntheticCheckpointOptions;
  readonly #values: RandomValues;

  constructor(folder: string, values: RandomValues, dtype: FloatDType, options: SyntheticCheckpointOptions) {
    this.#folder = folder;
    this.#dtype = dtype;
    this.#options = options;
    this.#values = values;
  }

  async json(path: string, value: JsonObject): Promise<void> {
    await this.text(path, `${JSON.stringify(value, null, 2)}\n`);
  }

  async text(path: string, text: string): Promise<void> {
    await writeAtomically(join(this.#folder, path), [new TextEncoder().encode(text)]);
  }

  /** Writes the weights of a component: one file, or shards with an index. */
  async weights(stem: string, weights: readonly RequiredWeight[], shardBytes = Infinity): Promise<void> {
    const shards = cutShards(weights, shardBytes);
    if (shards.length === 1) return await this.#file(`${stem}.safetensors`, weights);
    const weightMap: Record<string, string> = {};
    let total = 0;
    for (const [index, shard] of shards.entries()) {
      const number = (value: number): string => String(value).padStart(5, "0");
      const path = `${stem}-${number(index + 1)}-of-${number(shards.length)}.safetensors`;
      for (const weight of shard) {
        weightMap[weight.name] = path.slice(path.lastIndexOf("/") + 1);
        total += plannedBytes({ dtype: this.#dtype, shape: weight.shape });
      }
      await this.#file(path, shard);
    }
    await this.json(`${stem}.safetensors.index.json`, {
      metadata: { total_size: total },
      weight_map: Object.fromEntries(Object.entries(weightMap).sort(([a], [b]) => a < b ? -1 : 1)),
    });
  }

  async #file(path: string, weights: readonly RequiredWeight[]): Promise<void> {
    const tensors = weights.map((weight): PlannedTensor => ({ ...weight, dtype: this.#dtype }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
    const bytes = tensors.reduce((sum, tensor) => sum + plannedBytes(tensor), 0);
    this.bytes += bytes;
    this.#options.onFile?.({ path, bytes });
    const { signal } = this.#options;
    await writeAtomically(join(this.#folder, path), this.#chunks(tensors), signal ? { signal } : {});
  }

  /** Yields header and data. Small tensors are combined because each piece costs a system call. */
  *#chunks(tensors: readonly PlannedTensor[]): Generator<Uint8Array> {
    yield safetensorsHeaderBytes(tensors, { format: "pt" });
    const gathered = new Uint8Array(WRITE_BYTES);
    let filled = 0;
    for (const tensor of tensors) {
      for (const piece of this.#values.bytes(tensor)) {
        if (filled + piece.length > gathered.length && filled > 0) {
          yield gathered.subarray(0, filled);
          filled = 0;
        }
        if (piece.length >= gathered.length) {
          yield piece;
        } else {
          gathered.set(piece, filled);
          filled += piece.length;
        }
      }
    }
    if (filled > 0) yield gathered.subarray(0, filled);
  }
}
