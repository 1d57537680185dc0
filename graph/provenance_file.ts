/**
 * Artifact files that tell how they were made. The text stands in the file's `__metadata__` beside the artifact and is
 * no part of it, so the id is the same however the artifact was made.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { encodeArtifactChunks } from "../artifacts/artifact_file.ts";
import { readArtifact, readSafetensorsFileHeader } from "../artifacts/disk.ts";
import { writeOutputFile } from "../artifacts/output_file.ts";
import { parseProvenance, type Provenance, provenanceText } from "./provenance.ts";
import type { ReadFile } from "./run_options.ts";

/** The key of `__metadata__` that holds the provenance. */
const PROVENANCE_KEY = "pixstage_provenance";

/**
 * Reads an artifact's file, and how it was made where the file says so.
 *
 * @param path The file.
 * @returns Both.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if it is not valid safetensors.
 * @throws {FormatError} if what it says of its making cannot be read.
 */
export async function readArtifactFile(path: string): Promise<ReadFile> {
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
