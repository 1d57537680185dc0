/**
 * A folder that is packed into two assets of a program: an index, and the compressed contents of all files in
 * sequence.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";

/** Names of the assets. */
export const ASSETS = { index: "index.json", content: "content.gz" } as const;

/** A file in the index. */
interface PackedFile {
  /** Path relative to the folder, with slashes. */
  readonly path: string;
  /** Size in bytes. */
  readonly size: number;
  /** SHA-256 of the content, as hexadecimal digits. */
  readonly sha256: string;
}

/** A packed folder. */
export interface PackedFolder {
  /** The files in the order of their contents. */
  readonly index: string;
  readonly content: Uint8Array;
}

/**
 * Packs files.
 *
 * @param folder The folder.
 * @param paths Paths of the files relative to the folder, with slashes.
 */
export function packFiles(folder: string, paths: readonly string[]): PackedFolder {
  const contents = paths.map((path) => readFileSync(join(folder, path)));
  const files = paths.map((path, at): PackedFile => ({
    path,
    size: contents[at]!.length,
    sha256: sha256(contents[at]!),
  }));
  return { index: JSON.stringify(files), content: gzipSync(Buffer.concat(contents)) };
}

/** Returns the id of a packed folder: the SHA-256 of its index, which contains the hashes of all files. */
export function packedId(index: string): string {
  return sha256(index);
}

/**
 * Returns whether a folder has all packed files in their sizes. It does not read them: a program checks this
 * at every start.
 */
export function hasPackedFiles(index: string, folder: string): boolean {
  return parseIndex(index).every(({ path, size }) =>
    lstatSync(join(folder, path), { throwIfNoEntry: false })?.size === size
  );
}

/**
 * Writes the packed files.
 *
 * @param packed The packed folder.
 * @param folder The folder to write them into.
 * @throws {Error} if a file is not what was packed.
 */
export function unpackFiles({ index, content }: PackedFolder, folder: string): void {
  const contents = gunzipSync(content);
  let offset = 0;
  for (const { path, size, sha256: expected } of parseIndex(index)) {
    const bytes = contents.subarray(offset, offset += size);
    if (sha256(bytes) !== expected) throw new Error(`${path} in this program is damaged; download it again`);
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
}

/** Parses an index, which this program carries itself. */
function parseIndex(index: string): readonly PackedFile[] {
  return JSON.parse(index);
}

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
