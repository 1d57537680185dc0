/**
 * Artifacts and safetensors files on disk.
 *
 * @module
 */

import { type FileHandle, open, stat } from "node:fs/promises";
import type { Artifact } from "./artifact.ts";
import { decodeArtifact, encodeArtifactChunks } from "./artifact_file.ts";
import type { WriteOptions } from "../disk/atomic_write.ts";
import { FileError, onDisk } from "../disk/file_error.ts";
import { writeOutputFile } from "../disk/output_file.ts";
import { decodeSafetensors, type SafetensorsFile } from "./safetensors.ts";
import { readSafetensorsHeader, type SafetensorsHeader } from "./safetensors_header.ts";

/** Maximum number of bytes per read. Operating systems refuse reads of 2 GiB and more. */
const READ_BYTES = 1 << 30;

/**
 * Reads an artifact's file. In a safetensors file from another program, the tensors' names determine the
 * kind.
 *
 * @param path The file.
 * @returns The artifact.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if it is not valid safetensors.
 * @throws {ArtifactError} if its record of kind and metadata cannot be parsed.
 */
export async function readArtifact(path: string): Promise<Artifact> {
  return decodeArtifact(await readWholeFile(path), path);
}

/**
 * Writes an artifact's file atomically.
 *
 * @param path The file. An existing file is replaced; a pipe or a device is written to.
 * @param artifact The artifact.
 * @param options How to write it.
 * @throws {FileError} if the operating system refuses.
 */
export async function writeArtifact(
  path: string,
  artifact: Artifact,
  options: WriteOptions = {},
): Promise<void> {
  await writeOutputFile(path, encodeArtifactChunks(artifact), options);
}

/**
 * Reads a whole safetensors file into memory.
 *
 * @param path The file.
 * @returns Its tensors and metadata.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if it is not valid safetensors.
 */
export async function readSafetensorsFile(path: string): Promise<SafetensorsFile> {
  return decodeSafetensors(await readWholeFile(path), path);
}

/**
 * Reads only the header of a safetensors file, however large the file is.
 *
 * @param path The file.
 * @returns The positions of its tensors, and its metadata.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if it is not valid safetensors.
 */
export async function readSafetensorsFileHeader(path: string): Promise<SafetensorsHeader> {
  return await withFile(
    path,
    (file, size) =>
      readSafetensorsHeader({ name: path, size, read: (start, end) => readRange(path, file, start, end) }),
  );
}

/**
 * Reads a part of a file.
 *
 * @param path The file.
 * @param start Position of the first byte.
 * @param end Position after the last byte. Bytes beyond the file's end are left out.
 * @returns The bytes, in their own buffer.
 * @throws {FileError} if the file cannot be read.
 */
export async function readFileRange(path: string, start: number, end: number): Promise<Uint8Array> {
  return await withFile(path, (file, size) => readRange(path, file, start, Math.min(end, size)));
}

async function readWholeFile(path: string): Promise<Uint8Array> {
  return await withFile(path, (file, size) => readRange(path, file, 0, size));
}

/**
 * Opens a file, and refuses folders, pipes and devices, because reading them would fail late or never end.
 */
async function withFile<T>(path: string, use: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  const found = await onDisk("read", path, stat(path));
  if (!found.isFile()) throw new FileError("read", path, found.isDirectory() ? "EISDIR" : "ENOTREG");
  const file = await onDisk("read", path, open(path, "r"));
  try {
    return await use(file, found.size);
  } finally {
    await file.close();
  }
}

async function readRange(path: string, file: FileHandle, start: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, end - start));
  let filled = 0;
  while (filled < bytes.length) {
    const length = Math.min(READ_BYTES, bytes.length - filled);
    const { bytesRead } = await onDisk("read", path, file.read(bytes, filled, length, start + filled));
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
