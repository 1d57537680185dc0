/**
 * Artifact files that record how they were made. The text is in the file's `__metadata__`, next to the
 * artifact. It is not part of the artifact, so the id does not depend on how the artifact was made.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { encodeArtifactChunks } from "../artifacts/artifact_file.ts";
import { readArtifact, readFileRange, readSafetensorsFileHeader } from "../artifacts/files_on_disk.ts";
import { SafetensorsError } from "../artifacts/safetensors_error.ts";
import type { SafetensorsHeader } from "../artifacts/safetensors_header.ts";
import { writeOutputFile } from "../disk/output_file.ts";
import { FormatError } from "../errors/pixstage_error.ts";
import { isPictureFile } from "../images/picture.ts";
import { readPictureArtifact } from "../images/picture_artifact.ts";
import { inPictureFile } from "../images/picture_file_error.ts";
import { parseProvenance, type Provenance, provenanceText } from "./provenance.ts";
import type { ReadFile } from "./run_options.ts";

/** The key of `__metadata__` for the provenance. */
const PROVENANCE_KEY = "pixstage_provenance";

/** Number of bytes that distinguish picture files from others. */
const SIGNATURE_BYTES = 12;

/**
 * Reads an artifact's file, and its provenance if the file contains one. A PNG, JPEG or WebP file is read as
 * an artifact of kind `image` without provenance, whatever metadata it carries.
 *
 * @param path The file.
 * @returns The artifact and its provenance.
 * @throws {FileError} if the file cannot be read.
 * @throws {SafetensorsError} if the name ends in `.safetensors`, and the file is not valid safetensors.
 * @throws {FormatError} if the file is neither a picture nor safetensors, if the picture is damaged, or if its
 * provenance cannot be parsed.
 */
export async function readArtifactFile(path: string): Promise<ReadFile> {
  if (isPictureFile(await readFileRange(path, 0, SIGNATURE_BYTES))) {
    const bytes = await readFileRange(path, 0, Infinity);
    return { artifact: await inPictureFile(path, readPictureArtifact(bytes)) };
  }
  const text = (await readHeader(path)).metadata.get(PROVENANCE_KEY);
  return {
    artifact: await readArtifact(path),
    ...(text === undefined ? {} : { provenance: parseProvenance(text, path) }),
  };
}

/** Reads the header of a safetensors file. A file whose name does not say that it is one may be anything. */
async function readHeader(path: string): Promise<SafetensorsHeader> {
  try {
    return await readSafetensorsFileHeader(path);
  } catch (cause) {
    if (!(cause instanceof SafetensorsError) || path.endsWith(".safetensors")) throw cause;
    throw new FormatError(
      `Cannot read "${path}" because it is neither a picture (PNG, JPEG, WebP) nor safetensors: convert it to one of these`,
      { cause },
    );
  }
}

/**
 * Writes an artifact's file with its provenance, atomically.
 *
 * @param path The file. An existing file is replaced; a pipe or a device is written to.
 * @param artifact The artifact.
 * @param provenance How the artifact was made.
 * @throws {FileError} if the operating system refuses.
 */
export async function writeArtifactFile(
  path: string,
  artifact: Artifact,
  provenance: Provenance,
): Promise<void> {
  await writeOutputFile(path, artifactFileChunks(artifact, provenance));
}

/**
 * Returns the content of an artifact's file with its provenance.
 *
 * @param artifact The artifact.
 * @param provenance How the artifact was made.
 * @returns The content in chunks.
 */
export function artifactFileChunks(artifact: Artifact, provenance: Provenance): Iterable<Uint8Array> {
  return encodeArtifactChunks(artifact, { [PROVENANCE_KEY]: provenanceText(provenance) });
}
