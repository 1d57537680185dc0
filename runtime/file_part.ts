// This module is browser compatible.

/**
 * Names for parts of files that are not on disk. ONNX refers to weights by file, offset and length, and its
 * web library needs each file as a whole. A part that is fetched separately is therefore its own file, named
 * `file?bytes=start-end`.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";

/** A part of a file. */
export interface FilePart {
  /** The file. */
  readonly file: string;
  /** Position of the first byte. */
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

/**
 * Names a part of a file.
 *
 * @example Usage
 * ```ts
 * import { nameFilePart, parseFilePart } from "./file_part.ts";
 * import assert from "node:assert/strict";
 *
 * const part = { file: "model.safetensors", start: 128, end: 192 };
 * assert.deepEqual(parseFilePart(nameFilePart(part)), part);
 * ```
 */
export function nameFilePart({ file, start, end }: FilePart): string {
  return `${file}?bytes=${start}-${end}`;
}

/**
 * Parses the name of a part.
 *
 * @throws {InputError} if the name is not that of a part.
 */
export function parseFilePart(name: string): FilePart {
  const groups = /^(?<file>[^?]+)\?bytes=(?<start>\d+)-(?<end>\d+)$/.exec(name)?.groups;
  if (groups === undefined) {
    throw new InputError(
      "invalid_value",
      `Cannot read "${name}" as a part of a file: it must look like file?bytes=0-64`,
    );
  }
  return { file: groups.file!, start: Number(groups.start), end: Number(groups.end) };
}

/** Maximum number of unneeded bytes to fetch to save a request. */
const LARGEST_GAP = 64 * 1024;

/** A contiguous range of a file, and the parts in it. */
export interface FileSpan<P extends FilePart> extends FilePart {
  readonly parts: readonly P[];
}

/**
 * Joins adjacent and nearly adjacent parts.
 *
 * @param parts The parts, of any files, in any order.
 * @returns The fewest ranges that contain them all.
 */
export function joinParts<P extends FilePart>(parts: readonly P[]): FileSpan<P>[] {
  const spans: FileSpan<P>[] = [];
  const sorted = parts.toSorted((a, b) => a.file === b.file ? a.start - b.start : a.file < b.file ? -1 : 1);
  for (const part of sorted) {
    const last = spans.at(-1);
    if (last?.file === part.file && part.start - last.end <= LARGEST_GAP) {
      spans[spans.length - 1] = { ...last, end: Math.max(last.end, part.end), parts: [...last.parts, part] };
    } else {
      spans.push({ file: part.file, start: part.start, end: part.end, parts: [part] });
    }
  }
  return spans;
}
