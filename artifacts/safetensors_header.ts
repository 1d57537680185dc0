// This module is browser compatible.

/**
 * Reads the header of a safetensors file. Performs all checks of the reference library before it allocates
 * anything because of the header. Source: the format's description at
 * https://github.com/huggingface/safetensors and the verdicts of its library, version 0.8.0.
 *
 * @module
 */

import { LosslessNumber, parse } from "lossless-json";
import { isSafetensorsDType, SAFETENSORS_BITS, type SafetensorsDType } from "./safetensors_dtypes.ts";
import { SafetensorsError } from "./safetensors_error.ts";

/** Number of bytes of the field for the header's length. */
export const LENGTH_BYTES = 8;

/** Longest header that the reference library reads, in bytes. */
export const LONGEST_HEADER = 100_000_000;

const LARGEST_UINT64 = 2n ** 64n - 1n;
const METADATA_KEY = "__metadata__";

/** Position of a tensor in its file. */
export interface SafetensorsEntry {
  /** Name of the tensor. */
  readonly name: string;
  /** Element type, as named in the header. */
  readonly dtype: SafetensorsDType;
  /** Sizes of the axes; `[]` for a scalar. */
  readonly shape: readonly number[];
  /** Position of the first byte, from the start of the file. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** The content of a safetensors header. */
export interface SafetensorsHeader {
  /** The tensors by name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The file's metadata strings. Empty if it has none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Position of the first byte of tensor data, from the start of the file. */
  readonly dataStart: number;
}

/** A source of bytes that can be read in part: a file, a blob, a server that supports ranges. */
export interface ByteSource {
  /** Name of the source, for errors. */
  readonly name: string;
  /** Size of the source in bytes. */
  readonly size: number;
  /** Reads the bytes from `start` to `end`, exclusive. */
  read(start: number, end: number): Promise<Uint8Array>;
}

/**
 * Reads the header of a safetensors file with two small reads, however large the file is.
 *
 * @param source The file.
 * @returns The header, checked against the file's size.
 * @throws {SafetensorsError} if the file breaks the format's rules.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { name, size } = source;
  if (size < LENGTH_BYTES) throw tooSmall(name, size);
  const prefix = await readExactly(source, 0, LENGTH_BYTES);
  const length = headerLength(prefix, size, name);
  const header = await readExactly(source, LENGTH_BYTES, LENGTH_BYTES + length);
  return parseHeaderText(header, size, name);
}

/**
 * Parses the header of a safetensors file whose first bytes are in memory.
 *
 * @param header The file's bytes from its start to at least the end of its header.
 * @param fileSize Size of the whole file in bytes.
 * @param fileName Name of the file, for errors.
 * @returns The header, checked against the file's size.
 * @throws {SafetensorsError} if the file breaks the format's rules.
 */
export function parseSafetensorsHeader(
  header: Uint8Array,
  fileSize: number,
  fileName: string,
): SafetensorsHeader {
  if (Math.min(fileSize, header.length) < LENGTH_BYTES) throw tooSmall(fileName, fileSize);
  const length = headerLength(header, fileSize, fileName);
  if (header.length < LENGTH_BYTES + length) {
    throw new SafetensorsError(
      fileName,
      "header",
      `be given whole, in ${LENGTH_BYTES + length} bytes`,
      header.length,
    );
  }
  return parseHeaderText(header.subarray(LENGTH_BYTES, LENGTH_BYTES + length), fileSize, fileName);
}

function tooSmall(fileName: string, fileSize: number): SafetensorsError {
  return new SafetensorsError(fileName, "file size", `be at least ${LENGTH_BYTES} bytes`, fileSize);
}

async function readExactly(source: ByteSource, start: number, end: number): Promise<Uint8Array> {
  const bytes = await source.read(start, end);
  if (bytes.length !== end - start) {
    throw new SafetensorsError(source.name, "file size", `be at least ${end} bytes`, start + bytes.length);
  }
  return bytes;
}

/**
 * Files that people mistake for safetensors, by their first bytes. Read as a length, each exceeds the longest
 * header.
 */
const SIGNATURES: readonly (readonly [bytes: readonly number[], format: string])[] = [
  [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "a PNG picture"],
  [[0xff, 0xd8, 0xff], "a JPEG picture"],
  [[0x52, 0x49, 0x46, 0x46], "a WebP picture"],
  [[0x50, 0x4b, 0x03, 0x04], "a file of torch.save, or another ZIP archive"],
  [[0x80, 0x02], "a pickle of Python"],
  [[0x47, 0x47, 0x55, 0x46], "a GGUF file"],
];

function otherFormat(prefix: Uint8Array): string | undefined {
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  if (view.getBigUint64(0, true) <= BigInt(LONGEST_HEADER)) return undefined;
  return SIGNATURES.find(([bytes]) => bytes.every((byte, index) => byte === prefix[index]))?.[1];
}

/**
 * Reads the header's length. Checks it against the library's limit and the file's size before anything of
 * that length is allocated.
 */
function headerLength(prefix: Uint8Array, fileSize: number, fileName: string): number {
  const other = otherFormat(prefix);
  if (other !== undefined) throw SafetensorsError.otherFormat(fileName, other);
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(LONGEST_HEADER)) {
    throw new SafetensorsError(fileName, "header length", `be at most ${LONGEST_HEADER} bytes`, length);
  }
  const room = fileSize - LENGTH_BYTES;
  if (length > BigInt(room)) {
    throw new SafetensorsError(
      fileName,
      "header length",
      `be at most the ${room} bytes that follow it`,
      length,
    );
  }
  return Number(length);
}

function parseHeaderText(bytes: Uint8Array, fileSize: number, fileName: string): SafetensorsHeader {
  const json = parseJson(bytes, fileName);
  if (!isObject(json)) throw new SafetensorsError(fileName, "header", "be a JSON object", json);
  const dataStart = LENGTH_BYTES + bytes.length;
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [key, value] of Object.entries(json)) {
    if (key === METADATA_KEY) metadata = parseMetadata(value, fileName);
    else tensors.set(key, parseEntry(key, value, dataStart, fileName));
  }
  checkLayout(tensors, dataStart, fileSize, fileName);
  return { tensors, metadata, dataStart };
}

/**
 * Parses strict JSON and keeps what `JSON.parse` loses: repeated names, the spelling of numbers, integers
 * above 2^53.
 */
function parseJson(bytes: Uint8Array, fileName: string): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new SafetensorsError(fileName, "header", "be UTF-8", "bytes that are not", { cause });
  }
  try {
    return parse(text, undefined, {
      parseNumber: (digits) => /^\d{1,20}$/.test(digits) ? BigInt(digits) : new LosslessNumber(digits),
      onDuplicateKey: ({ key }) => {
        throw new SafetensorsError(fileName, "header", "name each key once", key);
      },
    });
  } catch (cause) {
    if (cause instanceof SafetensorsError) throw cause;
    // The parser is recursive. A header that exhausts the stack is invalid too.
    const reason = cause instanceof RangeError ? "nested too deeply" : (cause as Error).message;
    throw new SafetensorsError(fileName, "header", `be JSON (${reason})`, text.slice(0, 60), { cause });
  }
}

function parseMetadata(value: unknown, fileName: string): ReadonlyMap<string, string> {
  if (value === null) return new Map();
  if (!isObject(value)) throw new SafetensorsError(fileName, METADATA_KEY, "be an object of strings", value);
  const metadata = new Map<string, string>();
  for (const [key, text] of Object.entries(value)) {
    const field = `${METADATA_KEY} value ${JSON.stringify(key)}`;
    if (typeof text !== "string") throw new SafetensorsError(fileName, field, "be a string", text);
    if (!key.isWellFormed() || !text.isWellFormed()) {
      throw new SafetensorsError(fileName, field, "be well-formed Unicode", text);
    }
    metadata.set(key, text);
  }
  return metadata;
}

function parseEntry(name: string, value: unknown, dataStart: number, fileName: string): SafetensorsEntry {
  const label = `tensor ${JSON.stringify(name)}`;
  if (!name.isWellFormed()) {
    throw new SafetensorsError(fileName, "tensor name", "be well-formed Unicode", name);
  }
  if (!isObject(value)) {
    throw new SafetensorsError(fileName, label, "be an object with dtype, shape and data_offsets", value);
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isSafetensorsDType(dtype)) {
    const known = Object.keys(SAFETENSORS_BITS).join(", ");
    throw new SafetensorsError(fileName, `dtype of ${label}`, `be one of ${known}`, dtype);
  }
  if (!isWholeNumbers(shape)) {
    throw new SafetensorsError(fileName, `shape of ${label}`, "be a list of whole numbers >= 0", shape);
  }
  if (!isWholeNumbers(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(fileName, `data_offsets of ${label}`, "be two whole numbers >= 0", offsets);
  }
  const [begin, end] = offsets as readonly [bigint, bigint];
  const length = end - begin;
  const bits = countBits(shape, SAFETENSORS_BITS[dtype], label, fileName);
  if (length * 8n !== bits) {
    const need = `span the ${Number(bits) / 8} bytes that dtype and shape need`;
    throw new SafetensorsError(fileName, `data_offsets of ${label}`, need, offsets);
  }
  return { name, dtype, shape: shape.map(Number), offset: dataStart + Number(begin), length: Number(length) };
}

/**
 * Counts the bits of a tensor in 64-bit arithmetic, as the reference does. No product can wrap around or lose
 * digits.
 */
function countBits(shape: readonly bigint[], elementBits: number, label: string, fileName: string): bigint {
  let bits = BigInt(elementBits);
  for (const size of shape) {
    bits *= size;
    if (bits > LARGEST_UINT64 || size > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new SafetensorsError(fileName, `shape of ${label}`, "have a size that 64 bits can hold", shape);
    }
  }
  return bits;
}

/** Checks that the tensors cover the data without a hole, an overlap or a rest. */
function checkLayout(
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  dataStart: number,
  fileSize: number,
  fileName: string,
): void {
  const inFile = [...tensors.values()].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let end = dataStart;
  for (const { name, offset, length } of inFile) {
    if (offset !== end) {
      const field = `data_offsets of tensor ${JSON.stringify(name)}`;
      const must = `begin at ${end - dataStart}, where the tensor before it ends`;
      throw new SafetensorsError(fileName, field, must, [offset - dataStart, offset - dataStart + length]);
    }
    end += length;
  }
  if (end !== fileSize) {
    throw new SafetensorsError(
      fileName,
      "file size",
      `be the ${end} bytes that its header describes`,
      fileSize,
    );
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value) &&
    !(value instanceof LosslessNumber);
}

function isWholeNumbers(value: unknown): value is readonly bigint[] {
  return Array.isArray(value) && value.every((item) => typeof item === "bigint" && item <= LARGEST_UINT64);
}
