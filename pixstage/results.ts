// This module is browser compatible.

/**
 * What the front door gives: embeddings, latents and images, each with its lineage.
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

/** Writes results to files, where there is a disk. */
export interface ResultFiles {
  /** Writes the bytes of a picture, whole or not at all. */
  writePicture(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Writes an artifact with its lineage as a safetensors file. */
  writeArtifact(path: string, made: MadeArtifact): Promise<void>;
}

/** Embeddings of prompts, and of the negative prompts that stand beside them. */
export class Embeddings {
  /** The prompts' embeddings; they may hold negative prompts too, as files from elsewhere do. */
  readonly prompts: MadeArtifact;
  /** The negative prompts' embeddings, where they are artifacts of their own. */
  readonly negative: MadeArtifact | undefined;
  /** Sentences that the user should read: a prompt that was cut. */
  readonly warnings: readonly string[];
  readonly #save: (path: string) => Promise<void>;

  /**
   * @param prompts The prompts' embeddings.
   * @param negative The negative prompts' embeddings.
   * @param warnings Sentences that the user should read.
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

  /** Writes prompts and negative prompts into one safetensors file, as diffusers names the tensors. */
  async save(path: string): Promise<void> {
    await this.#save(path);
  }
}

/** Latents of pictures, before the division by the autoencoder's scaling factor. */
export class Latents implements MadeArtifact {
  /** SHA-256 of the artifact's content. */
  readonly id: string;
  /** The artifact: the tensor `latents` [images, channels, height, width], and what is known of it. */
  readonly artifact: Artifact;
  /** How the latents were made. */
  readonly provenance: Provenance;
  /** Sentences that the user should read. */
  readonly warnings: readonly string[];
  readonly #files: ResultFiles | undefined;

  /**
   * @param made The latents.
   * @param warnings Sentences that the user should read.
   * @param files Writes files, where there is a disk.
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

  /** Writes a safetensors file, which tells how the latents were made. */
  async save(path: string): Promise<void> {
    await disk(this.#files).writeArtifact(path, this);
  }
}

/** One picture. */
export class Image {
  /** The artifact that the picture is of, which may hold several: the tensor `image` [images, 3, height, width]. */
  readonly made: MadeArtifact;
  /** Its place among the pictures of the artifact, from 0. */
  readonly index: number;
  /** Sentences that the user should read: a prompt that was cut, memory that ran out. */
  readonly warnings: readonly string[];
  readonly #files: ResultFiles | undefined;
  #pixels: Pixels | undefined;

  /**
   * @param made The artifact.
   * @param index Which picture of it.
   * @param warnings Sentences that the user should read.
   * @param files Writes files, where there is a disk.
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

  /** Its pixels, 8 bits a channel. */
  get pixels(): Pixels {
    const { artifact } = this.made;
    this.#pixels ??= toPixels(artifact.tensors["image"] as Tensor<"float32">)[this.index]!;
    return this.#pixels;
  }

  /** Its width in pixels. */
  get width(): number {
    return this.pixels.width;
  }

  /** Its height in pixels. */
  get height(): number {
    return this.pixels.height;
  }

  /** The seed that gives it alone. */
  get seed(): string | undefined {
    const { seeds } = this.made.artifact.metadata;
    const seed = Array.isArray(seeds) ? seeds[this.index] : undefined;
    return typeof seed === "string" ? seed : undefined;
  }

  /**
   * Encodes it as a file, which tells how it was made.
   *
   * @param format Kind of file.
   * @param quality Quality of JPEG and WebP, 0 to 100.
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
   * Writes it to a file, which tells how it was made.
   *
   * @param path The file, whose ending says its kind: `.png`, `.jpg` or `.webp`. Its prompt and seed name it by default.
   * @returns The path.
   * @throws {InputError} if the ending names no kind of picture file.
   */
  async save(path?: string): Promise<string> {
    const files = disk(this.#files);
    const format = path === undefined ? "png" : pictureFormatOf(path);
    const target = path ?? defaultName(this.#ownMetadata(), format);
    await files.writePicture(target, await this.encode(format));
    return target;
  }

  /** Its own prompt and seed, of those of the artifact. */
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
  throw new PixstageError("unusable_path", "Cannot save a file: there is no disk here. Use encode() instead");
}
