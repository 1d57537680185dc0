// This module is browser compatible.

/**
 * The results of the library's calls: embeddings, latents and images, each with its lineage.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import type { Tensor } from "../artifacts/tensor.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { defaultName, describePicture } from "../graph/describe_picture.ts";
import type { Provenance } from "../graph/provenance.ts";
import type { MadeArtifact } from "../graph/run_options.ts";
import { encodePicture, type PictureFormat, pictureFormatOf } from "../images/picture.ts";
import { type Pixels, toPixels } from "../images/pixels.ts";

/** Writes results to files. Absent without a disk. */
export interface ResultFiles {
  /** Writes the bytes of a picture atomically. */
  writePicture(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Writes an artifact with its lineage as a safetensors file. */
  writeArtifact(path: string, made: MadeArtifact): Promise<void>;
}

/** Embeddings of prompts, and of their negative prompts. */
export class Embeddings {
  /** The prompts' embeddings. They can include negative prompts too, as files from other programs do. */
  readonly prompts: MadeArtifact;
  /** The negative prompts' embeddings, if they are separate artifacts. */
  readonly negative: MadeArtifact | undefined;
  /** Warnings for the user, e.g. about a truncated prompt. */
  readonly warnings: readonly string[];
  readonly #save: (path: string) => Promise<void>;

  /**
   * @param prompts The prompts' embeddings.
   * @param negative The negative prompts' embeddings.
   * @param warnings Warnings for the user.
   * @param save Writes both into one file.
   */
  constructor(
    prompts: MadeArtifact,
    negative: MadeArtifact | undefined,
    warnings: readonly string[],
    save: (path: string) => Promise<void>,
  ) {
    this.prompts = prompts;
    this.negative = negative;
    this.warnings = warnings;
    this.#save = save;
  }

  /** Writes prompts and negative prompts into one safetensors file, with diffusers' names for the tensors. */
  async save(path: string): Promise<void> {
    await this.#save(path);
  }
}

/** Latents of pictures, not yet divided by the autoencoder's scaling factor. */
export class Latents implements MadeArtifact {
  /** SHA-256 of the artifact's content. */
  readonly id: string;
  /** The artifact: the tensor `latents` [images, channels, height, width], and its metadata. */
  readonly artifact: Artifact;
  /** How the latents were made. */
  readonly provenance: Provenance;
  /** Warnings for the user. */
  readonly warnings: readonly string[];
  readonly #files: ResultFiles | undefined;

  /**
   * @param made The latents.
   * @param warnings Warnings for the user.
   * @param files Writes files. Absent without a disk.
   */
  constructor(
    { id, artifact, provenance }: MadeArtifact,
    warnings: readonly string[],
    files: ResultFiles | undefined,
  ) {
    this.warnings = warnings;
    this.id = id;
    this.artifact = artifact;
    this.provenance = provenance;
    this.#files = files;
  }

  /** Writes a safetensors file, which records how the latents were made. */
  async save(path: string): Promise<void> {
    await disk(this.#files).writeArtifact(path, this);
  }
}

/** One picture. */
export class Image {
  /** The artifact with this picture and possibly others: the tensor `image` [images, 3, height, width]. */
  readonly made: MadeArtifact;
  /** Index of the picture in the artifact. */
  readonly index: number;
  /** Warnings for the user, e.g. about a truncated prompt, or memory that ran out. */
  readonly warnings: readonly string[];
  readonly #files: ResultFiles | undefined;
  #pixels: Pixels | undefined;

  /**
   * @param made The artifact.
   * @param index Index of the picture in it.
   * @param warnings Warnings for the user.
   * @param files Writes files. Absent without a disk.
   */
  constructor(
    made: MadeArtifact,
    index: number,
    warnings: readonly string[],
    files: ResultFiles | undefined,
  ) {
    this.made = made;
    this.index = index;
    this.warnings = warnings;
    this.#files = files;
  }

  /** The picture's pixels, 8 bits per channel. */
  get pixels(): Pixels {
    const { artifact } = this.made;
    this.#pixels ??= toPixels(artifact.tensors["image"] as Tensor<"float32">)[this.index]!;
    return this.#pixels;
  }

  /** The picture's width in pixels. */
  get width(): number {
    return this.pixels.width;
  }

  /** The picture's height in pixels. */
  get height(): number {
    return this.pixels.height;
  }

  /** The seed that makes this picture alone. */
  get seed(): string | undefined {
    const { seeds } = this.made.artifact.metadata;
    const seed = Array.isArray(seeds) ? seeds[this.index] : undefined;
    return typeof seed === "string" ? seed : undefined;
  }

  /**
   * Encodes the picture as a file, which records how it was made.
   *
   * @param format File format.
   * @param quality Quality of JPEG and WebP, from 0 to 100.
   */
  async encode(format: PictureFormat = "png", quality?: number): Promise<Uint8Array<ArrayBuffer>> {
    const { artifact, provenance } = this.made;
    const metadata = describePicture(artifact, this.index, provenance);
    return await encodePicture(this.pixels, {
      format,
      metadata,
      ...(quality === undefined ? {} : { quality }),
    });
  }

  /**
   * Writes the picture to a file, which records how it was made.
   *
   * @param path The file. Its extension determines the format: `.png`, `.jpg` or `.webp`. The default name
   * consists of prompt and seed.
   * @returns The path.
   * @throws {InputError} if the extension is not one of a picture format.
   */
  async save(path?: string): Promise<string> {
    const files = disk(this.#files);
    const format = path === undefined ? "png" : pictureFormatOf(path);
    const target = path ?? defaultName(this.#ownMetadata(), format);
    await files.writePicture(target, await this.encode(format));
    return target;
  }

  /** Returns the artifact's metadata with only this picture's prompt and seed. */
  #ownMetadata(): Artifact["metadata"] {
    const { prompts, seeds, imagesPerPrompt = 1 } = this.made.artifact.metadata;
    const own = (list: unknown, index: number) => Array.isArray(list) ? list.slice(index, index + 1) : [];
    return {
      prompts: own(prompts, Math.floor(this.index / Number(imagesPerPrompt))),
      seeds: own(seeds, this.index),
    };
  }
}

function disk(files: ResultFiles | undefined): ResultFiles {
  if (files) return files;
  throw new PixstageError(
    "unusable_path",
    "Cannot save a file: this environment has no disk. Use encode() instead",
  );
}
