/**
 * A checkpoint on disk. Symbolic links are resolved because the snapshot folders of a Hugging Face cache
 * contain links into its `blobs` folder.
 *
 * @module
 */

import { open, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "./checkpoint_errors.ts";
import type { CheckpointSource, FileLocation } from "./source.ts";

/** Largest number of bytes per read. ONNX Runtime, Node and Deno cannot read 2 GiB at once. */
const LARGEST_READ = 1 << 30;

/** Options for opening a folder. */
export interface DiskSourceOptions {
  /** Name for errors, reports and metadata: `org/name`. The default is the folder's own name. */
  readonly name?: string | undefined;
}

/**
 * Opens a folder on disk.
 *
 * @param path The folder: a whole checkpoint, or one component of it.
 * @param options Its name.
 * @returns The source.
 * @throws {CheckpointError} if the folder does not exist.
 *
 * @example Usage
 * ```ts
 * import { openDiskSource } from "./disk_source.ts";
 * import { openCheckpoint } from "./checkpoint.ts";
 * const checkpoint = await openCheckpoint(await openDiskSource("models/pixstage-emoji"));
 * console.assert(checkpoint.family === "alpha");
 * ```
 */
export async function openDiskSource(
  path: string,
  options: DiskSourceOptions = {},
): Promise<CheckpointSource> {
  const root = resolve(path);
  const found = await stat(root).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new CheckpointError(
      `Cannot open ${root} because it ${
        found === undefined ? "does not exist" : "is a file"
      }. A checkpoint is a folder ` +
        "with model_index.json and the folders transformer, text_encoder, tokenizer, vae and scheduler, or one " +
        "component with config.json and its safetensors files",
    );
  }
  return new DiskSource(root, options.name ?? basename(root));
}

class DiskSource implements CheckpointSource {
  readonly name: string;
  readonly #root: string;

  constructor(root: string, name: string) {
    this.name = name;
    this.#root = root;
  }

  async list(folder: string): Promise<readonly string[]> {
    const entries = await readdir(join(this.#root, folder)).catch(() => []);
    return entries.sort();
  }

  async exists(path: string): Promise<boolean> {
    return await stat(join(this.#root, path)).then(() => true, () => false);
  }

  async size(path: string): Promise<number> {
    return (await this.#attempt(path, stat(join(this.#root, path)))).size;
  }

  async readText(path: string): Promise<string> {
    return await this.#attempt(path, readFile(join(this.#root, path), "utf8"));
  }

  async readBytes(path: string, start = 0, end?: number): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.#attempt(path, open(join(this.#root, path)));
    try {
      const last = end ?? (await file.stat()).size;
      const bytes = new Uint8Array(last - start);
      let filled = 0;
      while (filled < bytes.length) {
        const wanted = Math.min(LARGEST_READ, bytes.length - filled);
        const { bytesRead } = await file.read(bytes, filled, wanted, start + filled);
        if (bytesRead === 0) {
          throw new CheckpointError(
            `Cannot read ${this.name}/${path}: it must have at least ${last} bytes, but has ${
              start + filled
            }`,
          );
        }
        filled += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  async locate(path: string): Promise<FileLocation> {
    const real = await this.#attempt(path, realpath(join(this.#root, path)));
    return { folder: dirname(real), file: basename(real) };
  }

  async #attempt<T>(path: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CheckpointError(`Cannot read ${join(this.#root, path)}: ${reason}`, { cause });
    }
  }
}
