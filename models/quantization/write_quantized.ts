/**
 * Quantizes a component into a file of the user's cache. Processing a few rows at a time limits memory. An
 * interrupted quantization, even a killed one, resumes where it stopped.
 *
 * The file is written under a temporary name, and a journal records how much of it is known to be on disk.
 * Only a complete file gets the final name, so a partial file of a killed process is never mistaken for a
 * complete one.
 *
 * @module
 */

import { type FileHandle, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { writeAtomically } from "../../disk/atomic_write.ts";
import { checkFreeSpace } from "../../disk/free_space.ts";
import { FileError, onDisk } from "../../disk/file_error.ts";
import { toFloat16Bits } from "../../artifacts/float16.ts";
import { toFloat32 } from "../../artifacts/half_precision.ts";
import {
  plannedBytes,
  type PlannedTensor,
  safetensorsHeaderBytes,
} from "../../artifacts/safetensors_layout.ts";
import { sha256 } from "../../artifacts/sha256.ts";
import { replaceFile } from "../../disk/replace_file.ts";
import { elementCount, tensorBytes } from "../../artifacts/tensor.ts";
import { lockFile } from "../../disk/file_lock.ts";
import type { Weights } from "../checkpoint/weights.ts";
import type { QuantizeOptions } from "../models.ts";
import { lowRankProduct, subtractProduct } from "./low_rank.ts";
import { quantizedLock } from "./quantized_folder.ts";
import { QuantizedOutputs } from "./quantize_outputs.ts";
import { quantizeRows } from "./quantize_rows.ts";
import {
  type BlockRecipe,
  branchName,
  isQuantized,
  packedName,
  type QuantizationRecipe,
  quantizedShapes,
  scalesName,
} from "./recipe.ts";

/** The origin of the weights, as recorded in the file's metadata. */
export interface QuantizedOrigin {
  /** Identity of the weights: the component's fingerprint and the modification time of its files. */
  readonly component: string;
  /** Name of the component: `PixArt-XL-2-512x512/text_encoder`. */
  readonly name: string;
}

/** The tensors to write for one tensor of the component. */
interface Entry {
  readonly name: string;
  readonly tensors: readonly PlannedTensor[];
  readonly quantized: boolean;
}

const journalSchema = z.object({
  header: z.string(),
  entries: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
});

/** Number of weights to read, quantize and write at a time; 16 MB in float32. */
const PIECE_ELEMENTS = 1 << 22;
/** Advice for a folder that is not writable. */
const FOLDER_ADVICE = "Set PIXSTAGE_QUANTIZED to another folder for quantized weights";
/** Approximate number of bytes between updates of the journal. */
const JOURNAL_BYTES = 128 << 20;

/**
 * Writes a component's weights: quantizes its matrices and copies all other tensors unchanged.
 *
 * @param path The file. Nothing is done if it exists.
 * @param weights The component's weights.
 * @param recipe The quantization recipe.
 * @param origin Origin of the weights, for the file's metadata.
 * @param options Progress callback and abort signal.
 * @throws {FileError} if writing fails. Finished tensors are kept.
 */
export async function writeQuantized(
  path: string,
  weights: Weights,
  recipe: QuantizationRecipe,
  origin: QuantizedOrigin,
  options: QuantizeOptions = {},
): Promise<void> {
  using _lock = await lockFolder(path, options.signal);
  if (await exists(path)) return;
  const entries = planEntries(weights, recipe);
  const header = safetensorsHeaderBytes(entries.flatMap(({ tensors }) => tensors), {
    format: "pt",
    ...origin,
    recipe: recipe.name,
    quantizer: String(recipe.version),
  });
  const writer = await QuantizedFile.open(path, header, entries);
  try {
    await writer.write(weights, recipe, options);
  } finally {
    await writer.close();
  }
  await onDisk("write", path, replaceFile(writer.partial, path));
  await rm(writer.journal, { force: true });
}

/** Creates the folder of a file and locks it against other writers. */
async function lockFolder(path: string, signal: AbortSignal | undefined): Promise<Disposable> {
  try {
    await onDisk("write", path, mkdir(dirname(path), { recursive: true }));
    return await lockFile(quantizedLock(path), signal);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new FileError("write", path, cause.systemCode, { cause, advice: FOLDER_ADVICE });
  }
}

/** Plans the content of the file in order. */
function planEntries(weights: Weights, recipe: QuantizationRecipe): Entry[] {
  const entries = weights.names.map((name): Entry => {
    const { dtype, shape } = weights.locate(name);
    if (!isQuantized(name, shape)) return { name, tensors: [{ name, dtype, shape }], quantized: false };
    const { packed, scales, branch } = quantizedShapes(shape, recipe);
    return {
      name,
      quantized: true,
      // Scales come first so that their offset is a multiple of their element size.
      tensors: [
        { name: scalesName(name), dtype: "float32", shape: scales },
        ...(branch
          ? (["up", "down"] as const).map((part) => ({
            name: branchName(name, part),
            dtype: "float16" as const,
            shape: branch[part],
          }))
          : []),
        { name: packedName(name), dtype: recipe.layout === "columns" ? "int8" : "uint8", shape: packed },
      ],
    };
  });
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

class QuantizedFile {
  readonly partial: string;
  readonly journal: string;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #header: string;
  readonly #entries: readonly Entry[];
  #done: number;
  #offset: number;
  #journaled: number;

  constructor(
    path: string,
    file: FileHandle,
    header: string,
    entries: readonly Entry[],
    start: { readonly entries: number; readonly bytes: number },
  ) {
    this.partial = `${path}.partial`;
    this.journal = `${path}.journal`;
    this.#path = path;
    this.#file = file;
    this.#header = header;
    this.#entries = entries;
    this.#done = start.entries;
    this.#offset = start.bytes;
    this.#journaled = start.bytes;
  }

  /** Opens the file at the point where an earlier attempt stopped, or creates it. */
  static async open(path: string, header: Uint8Array, entries: readonly Entry[]): Promise<QuantizedFile> {
    const id = await sha256(header);
    const partial = `${path}.partial`;
    const known = await readJournal(`${path}.journal`, id, partial);
    const bytes = entries.flatMap(({ tensors }) => tensors).reduce((sum, one) => sum + plannedBytes(one), 0);
    await checkFreeSpace(
      path,
      header.length + bytes - await bytesOf(partial),
      FOLDER_ADVICE,
    );
    const file = await onDisk("write", path, open(partial, known ? "r+" : "w"));
    try {
      if (known) await onDisk("write", path, file.truncate(known.bytes));
      else await writeAll(path, file, header, 0);
      return new QuantizedFile(path, file, id, entries, known ?? { entries: 0, bytes: header.length });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async write(weights: Weights, recipe: QuantizationRecipe, options: QuantizeOptions): Promise<void> {
    // Write the first journal early: a full disk has no room for a new file, only for replacing an existing
    // one.
    if (this.#done === 0) await this.#keep();
    try {
      await this.#writeEntries(weights, recipe, options);
    } catch (error) {
      await this.#file.truncate(this.#offset).then(() => this.#keep()).catch(() => this.#overwriteJournal())
        .catch(() => {}); // The previous journal is still valid.
      throw error;
    }
    await this.#keep();
  }

  async #writeEntries(
    weights: Weights,
    recipe: QuantizationRecipe,
    { onProgress, signal }: QuantizeOptions,
  ): Promise<void> {
    const total = this.#entries.length;
    for (const entry of this.#entries.slice(this.#done)) {
      signal?.throwIfAborted();
      const { shape } = weights.locate(entry.name);
      if (!entry.quantized) await this.#copy(entry, elementCount(shape), weights);
      else if (recipe.layout === "columns") await this.#quantizeOutputs(entry, shape, weights, signal);
      else await this.#quantizeBlocks(entry, shape, weights, recipe, signal);
      this.#done++;
      this.#offset += entry.tensors.reduce((sum, one) => sum + plannedBytes(one), 0);
      if (this.#offset - this.#journaled > JOURNAL_BYTES) await this.#keep();
      onProgress?.({ done: this.#done, total, bytes: this.#offset });
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /**
   * Quantizes some rows at a time, after the matrices of the branch are found. The scales of all rows are
   * followed by the branch, and then by the values of all rows.
   */
  async #quantizeBlocks(
    { name, tensors }: Entry,
    shape: readonly number[],
    weights: Weights,
    recipe: BlockRecipe,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const [rows = 0, columns = 0] = shape;
    const matrix = { rows, columns, read: () => readRows(weights, name, [rows, columns], signal) };
    const { branch } = quantizedShapes(shape, recipe);
    const product = branch && await lowRankProduct(matrix, branch.rank, recipe.block);
    let scalesAt = this.#offset;
    let packedAt = scalesAt + plannedBytes(tensors[0]!);
    if (product) {
      for (const factor of [product.up, product.down]) {
        packedAt += await this.#write(new Uint8Array(toFloat16Bits(factor).buffer), packedAt);
      }
    }
    let row = 0;
    for await (const values of matrix.read()) {
      if (product) subtractProduct(values, row, columns, product);
      const { packed, scales } = quantizeRows(values, columns, recipe);
      scalesAt += await this.#write(new Uint8Array(scales.buffer), scalesAt);
      packedAt += await this.#write(packed, packedAt);
      row += values.length / columns;
    }
  }

  /**
   * Quantizes some rows at a time into the transposed matrix, which is in memory as a whole: one byte per
   * weight.
   */
  async #quantizeOutputs(
    { name }: Entry,
    [rows = 0, columns = 0]: readonly number[],
    weights: Weights,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const outputs = new QuantizedOutputs(rows, columns);
    let row = 0;
    for await (const values of readRows(weights, name, [rows, columns], signal)) {
      outputs.add(values, row);
      row += values.length / columns;
    }
    const { scales, values } = outputs;
    const valuesAt = this.#offset + await this.#write(new Uint8Array(scales.buffer), this.#offset);
    await this.#write(new Uint8Array(values.buffer), valuesAt);
  }

  /** Copies a tensor, some elements at a time. */
  async #copy({ name }: Entry, count: number, weights: Weights): Promise<void> {
    let at = this.#offset;
    for (let first = 0; first < count; first += PIECE_ELEMENTS) {
      const end = Math.min(first + PIECE_ELEMENTS, count);
      at += await this.#write(tensorBytes(await weights.readElements(name, first, end)), at);
    }
  }

  async #write(bytes: Uint8Array, offset: number): Promise<number> {
    await writeAll(this.#path, this.#file, bytes, offset);
    return bytes.length;
  }

  /**
   * Flushes the file, then updates the journal. The order matters: the journal must not claim unflushed
   * bytes.
   */
  async #keep(): Promise<void> {
    await onDisk("write", this.#path, this.#file.datasync());
    await writeAtomically(this.journal, [this.#journalBytes()]);
    this.#journaled = this.#offset;
  }

  /**
   * Overwrites the previous journal in place, which needs no disk space. A crash during the write loses the
   * progress.
   */
  async #overwriteJournal(): Promise<void> {
    await onDisk("write", this.#path, this.#file.datasync());
    const bytes = this.#journalBytes();
    await using file = await open(this.journal, "r+");
    await writeAll(this.journal, file, bytes, 0);
    await file.truncate(bytes.length);
    await file.datasync();
  }

  #journalBytes(): Uint8Array {
    const journal = { header: this.#header, entries: this.#done, bytes: this.#offset };
    return new TextEncoder().encode(JSON.stringify(journal));
  }
}

/** Reads the rows of a matrix in order, some at a time, as copies in float32. */
async function* readRows(
  weights: Weights,
  name: string,
  [rows, columns]: readonly [number, number],
  signal: AbortSignal | undefined,
): AsyncGenerator<Float32Array> {
  const atOnce = Math.max(4, 4 * Math.floor(PIECE_ELEMENTS / columns / 4));
  for (let row = 0; row < rows; row += atOnce) {
    signal?.throwIfAborted();
    const end = Math.min(row + atOnce, rows);
    yield toFloat32(await weights.readElements(name, row * columns, end * columns)).data;
  }
}

/**
 * Reads the journal of an earlier attempt; undefined if it belongs to other weights, or if the file is
 * shorter than recorded.
 */
async function readJournal(
  path: string,
  header: string,
  partial: string,
): Promise<z.infer<typeof journalSchema> | undefined> {
  const text = await readFile(path, "utf8").catch(() => "null");
  const parsed = journalSchema.safeParse(parseJson(text));
  const size = await bytesOf(partial);
  return parsed.success && parsed.data.header === header && parsed.data.bytes <= size
    ? parsed.data
    : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function writeAll(path: string, file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written +=
      (await onDisk("write", path, file.write(bytes, written, bytes.length - written, offset + written)))
        .bytesWritten;
  }
}

async function bytesOf(path: string): Promise<number> {
  return await stat(path).then(({ size }) => size, () => 0);
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(() => true, () => false);
}
