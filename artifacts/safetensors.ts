// This module is browser compatible.

/**
 * Reads and writes safetensors files in memory. It is the format of every artifact and of every checkpoint.
 * Source: https://github.com/huggingface/safetensors
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import { ARRAY_TYPES, bytesPerElement } from "./dtype.ts";
import { memoryDType, SAFETENSORS_BITS, SAFETENSORS_NAMES } from "./safetensors_dtypes.ts";
import { SafetensorsError } from "./safetensors_error.ts";
import { LENGTH_BYTES, parseSafetensorsHeader, type SafetensorsEntry } from "./safetensors_header.ts";
import { type Tensor, tensor, tensorBytes } from "./tensor.ts";

/** The content of a safetensors file. */
export interface SafetensorsFile {
  /** The tensors by name. The object has no prototype, so no name collides with an inherited property. */
  readonly tensors: Record<string, Tensor>;
  /** The file's metadata strings. This object has no prototype either. */
  readonly metadata: Record<string, string>;
}

const METADATA_KEY = "__metadata__";
const ALIGNMENT = 8;
const SPACE = 0x20;
const FORMAT_ORDER = Object.keys(SAFETENSORS_BITS);

/**
 * Reads a safetensors file from its bytes.
 *
 * @param bytes The whole file. Tensors share its memory if their alignment allows, and are copied otherwise.
 * @param name Name of the file, for errors.
 * @returns The tensors and the metadata.
 * @throws {SafetensorsError} if the file breaks the format's rules, or a tensor's element type (4, 6 or 8 bit
 * floats, complex numbers) has no typed array.
 *
 * @example Usage
 * ```ts
 * import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
 * import { tensor } from "./tensor.ts";
 *
 * const written = { latents: tensor("float32", [2], new Float32Array([1, 2])) };
 * const file = await new Blob(encodeSafetensors(written) as BlobPart[]).bytes();
 * const { tensors } = decodeSafetensors(file, "latents.safetensors");
 * console.assert(tensors.latents?.data[1] === 2);
 * ```
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): SafetensorsFile {
  const header = parseSafetensorsHeader(bytes, bytes.length, name);
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const entry of header.tensors.values()) {
    tensors[entry.name] = decodeTensor(
      bytes.subarray(entry.offset, entry.offset + entry.length),
      entry,
      name,
    );
  }
  const metadata: Record<string, string> = Object.create(null);
  for (const [key, value] of header.metadata) metadata[key] = value;
  return { tensors, metadata };
}

/**
 * Makes a tensor from its bytes in a file.
 *
 * @param bytes Exactly the tensor's bytes. They are shared if their alignment allows, and copied otherwise.
 * @param entry The tensor's entry in the header.
 * @param fileName Name of the file, for errors.
 * @returns The tensor.
 * @throws {SafetensorsError} if the element type has no typed array.
 */
export function decodeTensor(
  bytes: Uint8Array,
  entry: Pick<SafetensorsEntry, "name" | "dtype" | "shape">,
  fileName: string,
): Tensor {
  const dtype = memoryDType(entry.dtype);
  if (dtype === undefined) {
    const held = Object.values(SAFETENSORS_NAMES).join(", ");
    const field = `dtype of tensor ${JSON.stringify(entry.name)}`;
    throw new SafetensorsError(fileName, field, `be one that can be held in memory (${held})`, entry.dtype);
  }
  const size = bytesPerElement(dtype);
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const data = new ARRAY_TYPES[dtype](buffer as ArrayBuffer, byteOffset, bytes.length / size);
  return tensor(dtype, entry.shape, data);
}

/**
 * Encodes tensors as a safetensors file. The same tensors and metadata always produce the same bytes, and
 * these are the bytes that the reference library writes: widest element type first, then by name, header
 * padded to 8 bytes.
 *
 * @param tensors The tensors by name.
 * @param metadata Metadata strings, written in the order of their keys.
 * @returns The file in chunks, in order. Chunks with tensors share their memory.
 * @throws {InputError} if a file cannot contain a name or a string.
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const sorted = Object.entries(tensors).sort(([nameA, a], [nameB, b]) =>
    FORMAT_ORDER.indexOf(SAFETENSORS_NAMES[b.dtype]) - FORMAT_ORDER.indexOf(SAFETENSORS_NAMES[a.dtype]) ||
    compareCodePoints(nameA, nameB)
  );
  const fields: string[] = [];
  const strings = Object.entries(metadata).sort(([a], [b]) => compareCodePoints(a, b));
  if (strings.length > 0) {
    const pairs = strings.map(([key, value]) => `${quote(key)}:${quote(value)}`);
    fields.push(`"${METADATA_KEY}":{${pairs.join(",")}}`);
  }
  const chunks: Uint8Array[] = [];
  let end = 0;
  for (const [name, value] of sorted) {
    if (name === METADATA_KEY) {
      throw new InputError(
        "invalid_value",
        `Cannot write a safetensors file with a tensor named ${METADATA_KEY}: the name is reserved`,
      );
    }
    const bytes = tensorBytes(value);
    const begin = end;
    end += bytes.length;
    const shape = value.shape.join(",");
    fields.push(
      `${quote(name)}:{"dtype":"${
        SAFETENSORS_NAMES[value.dtype]
      }","shape":[${shape}],"data_offsets":[${begin},${end}]}`,
    );
    if (bytes.length > 0) chunks.push(bytes);
  }
  return [headerBytes(`{${fields.join(",")}}`), ...chunks];
}

function headerBytes(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(SPACE);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, LENGTH_BYTES);
  return bytes;
}

function quote(text: string): string {
  if (!text.isWellFormed()) {
    throw new InputError(
      "invalid_value",
      `Cannot write a safetensors file: its strings must be well-formed Unicode; found ${
        JSON.stringify(text)
      }`,
    );
  }
  return JSON.stringify(text);
}

/** Compares by UTF-8 bytes, which is the order of code points. JavaScript compares by UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  const pointsA = Array.from(a, (character) => character.codePointAt(0)!);
  const pointsB = Array.from(b, (character) => character.codePointAt(0)!);
  const shared = Math.min(pointsA.length, pointsB.length);
  for (let index = 0; index < shared; index++) {
    const difference = pointsA[index]! - pointsB[index]!;
    if (difference !== 0) return difference;
  }
  return pointsA.length - pointsB.length;
}
