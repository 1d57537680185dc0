// This module is browser compatible.

/**
 * Artifacts as safetensors files. Kind and metadata are JSON in one key of the file's `__metadata__`. Any
 * safetensors library can therefore open the file, and files from other programs open as artifacts.
 *
 * @module
 */

import { z } from "zod";
import { parseValue } from "../errors/parse_value.ts";
import { type Artifact, ArtifactError, type JsonObject } from "./artifact.ts";
import { canonicalJson } from "./canonical_json.ts";
import type { ArtifactOutline } from "./outline.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import type { SafetensorsHeader } from "./safetensors_header.ts";
import { sha256 } from "./sha256.ts";

/** The key of `__metadata__` for an artifact's kind and metadata. */
const RECORD_KEY = "pixstage";
const VERSION = 1;

/**
 * Kinds of files from other programs, by the name of a tensor that only this kind contains. The first match
 * wins.
 */
const KIND_OF_TENSOR: ReadonlyArray<readonly [string, string]> = [
  ["prompt_embeds", "embeddings"],
  ["latents", "latents"],
  ["image", "image"],
  ["mask", "mask"],
];
const OTHER_KIND = "tensors";

const RecordSchema = z.object({
  kind: z.string().min(1),
  version: z.literal(VERSION),
  // The result of JSON.parse is JSON. A schema per kind checks its content.
  metadata: z.custom<JsonObject>(
    (value) => value !== null && typeof value === "object" && !Array.isArray(value),
    "must be an object",
  ),
});

/**
 * Encodes an artifact as the bytes of its file. Equal artifacts produce equal bytes, whatever the order of
 * their tensors and metadata.
 *
 * @param artifact The artifact.
 * @returns The file's bytes.
 * @throws {InputError} if the metadata contains a value that is not JSON, or if a file cannot contain a name.
 */
export function encodeArtifact(artifact: Artifact): Uint8Array<ArrayBuffer> {
  const chunks = encodeArtifactChunks(artifact);
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/**
 * Encodes like {@linkcode encodeArtifact}, in chunks that share the tensors' memory, for writing without a
 * copy.
 *
 * @param artifact The artifact.
 * @param texts Texts to store next to the artifact. They are not part of it: reading ignores them, and they
 * do not affect its id.
 */
export function encodeArtifactChunks(
  artifact: Artifact,
  texts: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const { kind, metadata, tensors } = artifact;
  const record = canonicalJson({ kind, metadata, version: VERSION });
  return encodeSafetensors(tensors, { ...texts, [RECORD_KEY]: record });
}

/**
 * Decodes an artifact from the bytes of its file. In a file from another program, the names of the tensors
 * determine the kind (`prompt_embeds` → `embeddings`, `latents` → `latents`, `image` → `image`, `mask` →
 * `mask`, else `tensors`), and the metadata is the file's own strings.
 *
 * @param bytes The file. The tensors share its memory where possible.
 * @param name Name of the file, for errors.
 * @returns The artifact.
 * @throws {SafetensorsError} if the file is not valid safetensors.
 * @throws {ArtifactError} if its record of kind and metadata cannot be parsed.
 *
 * @example Usage
 * ```ts
 * import { decodeArtifact, encodeArtifact } from "./artifact_file.ts";
 * import { tensor } from "./tensor.ts";
 *
 * const latents = tensor("float32", [1, 4, 8, 8], new Float32Array(256));
 * const file = encodeArtifact({ kind: "latents", tensors: { latents }, metadata: { seed: "42" } });
 * console.assert(decodeArtifact(file, "a.safetensors").metadata.seed === "42");
 * ```
 */
export function decodeArtifact(bytes: Uint8Array, name: string): Artifact {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  return { tensors, ...kindAndMetadata(Object.keys(tensors), metadata, name) };
}

/**
 * Returns the outline of an artifact from the header of its file.
 *
 * @param header The header.
 * @param name Name of the file, for errors.
 * @returns Kind, shapes and metadata.
 * @throws {ArtifactError} if its record of kind and metadata cannot be parsed.
 */
export function outlineOfFile({ tensors, metadata }: SafetensorsHeader, name: string): ArtifactOutline {
  const shapes = [...tensors].map(([tensor, { shape }]) => [tensor, shape] as const);
  return {
    shapes: Object.fromEntries(shapes),
    ...kindAndMetadata([...tensors.keys()], Object.fromEntries(metadata), name),
  };
}

function kindAndMetadata(
  tensors: readonly string[],
  metadata: Readonly<Record<string, string>>,
  name: string,
): Pick<Artifact, "kind" | "metadata"> {
  const record = metadata[RECORD_KEY];
  if (record === undefined) return { kind: inferKind(tensors), metadata };
  let json: unknown;
  try {
    json = JSON.parse(record);
  } catch (cause) {
    throw new ArtifactError(
      `Cannot read ${JSON.stringify(name)} as an artifact: its "${RECORD_KEY}" metadata must be JSON; found ${
        record.slice(0, 60)
      }`,
      { cause },
    );
  }
  const { kind, metadata: stored } = parseValue(
    RecordSchema,
    json,
    ({ clause }, options) =>
      new ArtifactError(
        `Cannot read ${JSON.stringify(name)} as an artifact: in its "${RECORD_KEY}" metadata, ${clause}`,
        options,
      ),
  );
  return { kind, metadata: stored };
}

/**
 * Returns an artifact's id: the SHA-256 of its file's content, in hexadecimal.
 *
 * @param artifact The artifact, or the bytes of its file.
 * @returns 64 lower-case hexadecimal digits.
 */
export async function artifactId(artifact: Artifact | Uint8Array): Promise<string> {
  return await sha256(artifact instanceof Uint8Array ? unshared(artifact) : encodeArtifact(artifact));
}

function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
}

function inferKind(tensors: readonly string[]): string {
  return KIND_OF_TENSOR.find(([name]) => tensors.includes(name))?.[1] ?? OTHER_KIND;
}
