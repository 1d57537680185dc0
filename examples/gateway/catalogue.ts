/**
 * Describes the models behind a gateway by their configurations and the headers of their weights. The gateway
 * plans requests from these descriptions only.
 *
 * @module
 */

import { z } from "zod";
import { CheckpointError } from "../../models/checkpoint/checkpoint_errors.ts";
import { runDefaultsSchema } from "../../models/checkpoint/run_defaults.ts";
import type { CheckpointSource, FileLocation } from "../../models/checkpoint/source.ts";

const fileSchema = z.object({
  /** Size of the file in bytes. */
  size: z.int().nonnegative(),
  /** The parts of the file that planning reads, in base64. */
  parts: z.array(z.object({ start: z.int().nonnegative(), bytes: z.string() })),
});

/** The parts of a checkpoint's or adapter's file that planning reads. */
export type DescribedFile = z.infer<typeof fileSchema>;

/** The schema of {@linkcode Catalogue}. */
export const catalogueSchema = z.object({
  /** The models that requests can name. The first one is the default. */
  models: z.array(z.object({
    name: z.string(),
    reference: z.string(),
    family: z.string(),
    defaults: runDefaultsSchema,
    width: z.int(),
    height: z.int(),
    scheduler: z.string(),
    steps: z.int(),
    guidanceScale: z.number(),
  })),
  decoders: z.array(z.string()),
  transformers: z.array(z.string()),
  controlnets: z.array(z.string()),
  /** The LoRAs that requests can name. */
  loras: z.array(z.object({
    name: z.string(),
    reference: z.string(),
    layers: z.int(),
    models: z.array(z.string()),
  })),
  /** The files of all models and LoRAs, by name and path. */
  files: z.record(z.string(), z.record(z.string(), fileSchema)),
});

/** The description of the models behind a gateway. */
export type Catalogue = z.infer<typeof catalogueSchema>;

/** A checkpoint or adapter of which only the described parts can be read. */
export class DescribedSource implements CheckpointSource {
  readonly name: string;
  readonly #files: ReadonlyMap<string, DescribedFile>;

  /**
   * @param name The name in errors.
   * @param files The files, by path.
   */
  constructor(name: string, files: Readonly<Record<string, DescribedFile>>) {
    this.name = name;
    this.#files = new Map(Object.entries(files));
  }

  list(folder: string): Promise<readonly string[]> {
    const start = folder === "" ? "" : `${folder}/`;
    const names = [...this.#files.keys()].filter((path) => path.startsWith(start))
      .map((path) => path.slice(start.length)).filter((path) => !path.includes("/"));
    return Promise.resolve(names.sort());
  }

  exists(path: string): Promise<boolean> {
    return Promise.resolve(
      [...this.#files.keys()].some((file) => file === path || file.startsWith(`${path}/`)),
    );
  }

  async size(path: string): Promise<number> {
    return (await this.#file(path)).size;
  }

  async readText(path: string): Promise<string> {
    return new TextDecoder().decode(await this.readBytes(path));
  }

  async readBytes(path: string, start = 0, end?: number): Promise<Uint8Array<ArrayBuffer>> {
    const { size, parts } = await this.#file(path);
    const stop = end ?? size;
    for (const { start: at, bytes } of parts) {
      if (at > start) continue;
      const part = Uint8Array.fromBase64(bytes);
      if (at + part.length >= stop) return part.slice(start - at, stop - at);
    }
    throw new CheckpointError(
      `Cannot read bytes ${start} to ${stop} of ${this.name}/${path}: they are not described`,
    );
  }

  /** Returns the location that the file would have. Plans ask for it but do not open the file. */
  async locate(path: string): Promise<FileLocation> {
    await this.#file(path);
    return { folder: this.name, file: path };
  }

  #file(path: string): Promise<DescribedFile> {
    const file = this.#files.get(path);
    return file
      ? Promise.resolve(file)
      : Promise.reject(new CheckpointError(`Cannot find ${path} of ${this.name}`));
  }
}
