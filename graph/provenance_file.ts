/**
 * Artifact files that tell how they were made. The text stands in the file's `__metadata__` beside the artifact and is
 * no part of it, so the id is the same however the artifact was made.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { encodeArtifactChunks } from "../artifacts/artifact_file.ts";
import { readArtifact, readFileRange, readSafetensorsFileHeader } from "../artifacts/disk.ts";
import { writeOutputFile } from "../artifacts/output_file.ts";
import { isPictureFile } from "../images/picture.ts";
import { readPictureArtifact } from "../images/picture_artifact.ts";
import { parseProvenance, type Provenance, provenanceText } from "./provenance.ts";
import type { ReadFile } from "./run_options.ts";

/** The key of `__metadata__` that holds the provenance. */
const PROVENANCE_KEY = "pixstage_provenance";

/** Bytes by which picture files are told from others. */
const SIGNATURE_BYTES = 12;

/**
 * Reads an artifact's file, and how it was made where the file says so. A PNG, JPEG or WebP file is an artifact of kind
 * `image`, given and not made, whatever it says.
 *
 * @param path The file.
 * @returns Both.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if it is no picture and not valid safetensors.
 * @throws {FormatError} if the picture is not sound, or what a file says of its making cannot be read.
 */
export async function readArtifactFile(path: string): Promise<ReadFile> {
  if (isPictureFile(await readFileRange(path, 0, SIGNATURE_BYTES))) {
    return { artifact: await readPictureArtifact(await readFileRange(path, 0, Infinity)) };
  }
  const text = (await readSafetensorsFileHeader(path)).metadata.get(PROVENANCE_KEY);
  return {
    artifact: await readArtifact(path),
    ...(text === undefined ? {} : { provenance: parseProvenance(text, path) }),
  };
}

/**
 * Writes an artifact's file with its provenance, whole or not at all.
 *
 * @param path The file. One that is there is replaced, but for a pipe or a device, which is written to.
 * @param artifact The artifact.
 * @param provenance How it was made.
 * @throws {FileError} if the system refuses.
 */
export async function writeArtifactFile(
  path: string,
  artifact: Artifact,
  provenance: Provenance,
): Promise<void> {
  await writeOutputFile(path, artifactFileChunks(artifact, provenance));
}

/**
 * The content of an artifact's file with its provenance.
 *
 * @param artifact The artifact.
 * @param provenance How it was made.
 * @returns The content in pieces.
 */
export function artifactFileChunks(artifact: Artifact, provenance: Provenance): Iterable<Uint8Array> {
  return encodeArtifactChunks(artifact, { [PROVENANCE_KEY]: provenanceText(provenance) });
}
