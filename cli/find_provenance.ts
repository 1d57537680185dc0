/**
 * Finds the artifact or picture that the user names by a file or an id, and its provenance.
 *
 * @module
 */

import { readFile, stat } from "node:fs/promises";
import { type Artifact, ArtifactError } from "../artifacts/artifact.ts";
import { onDisk } from "../disk/file_error.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { GraphInput } from "../graph/document.ts";
import { storedOrigin } from "../graph/lineage.ts";
import { readPictureProvenance, type RecordedPicture } from "../graph/picture_provenance.ts";
import { describeOrigin, type Provenance } from "../graph/provenance.ts";
import { readArtifactFile } from "../graph/provenance_file.ts";
import { wholeId } from "./whole_id.ts";
import { STORED } from "./store.ts";
import { UsageError } from "./usage_error.ts";
import { userPath } from "./user_path.ts";

/** An artifact of an earlier run. */
export interface ArtifactWithProvenance {
  /** How the artifact was made. */
  readonly provenance: Provenance;
  readonly artifact: Artifact;
  /** The artifact as an input of a graph: a file or an id. */
  readonly input: Exclude<GraphInput, string>;
}

/** A picture of an earlier run. */
export interface PictureWithProvenance extends RecordedPicture {
  /** Path of the file. */
  readonly path: string;
  /** Content of the file. */
  readonly bytes: Uint8Array;
}

/**
 * Finds the artifact or picture that the user named.
 *
 * @param target A picture, a safetensors file, or an id or its first digits.
 * @param store The store in which ids are looked up.
 * @returns The artifact or the picture, with its provenance.
 * @throws {ArtifactError} if neither the file nor the store records how it was made.
 */
export async function findProvenance(
  target: string,
  store: RunStore,
): Promise<ArtifactWithProvenance | PictureWithProvenance> {
  const path = userPath(target);
  const found = await stat(path).catch(() => undefined);
  if (!found && /^[0-9a-f]{4,64}$/i.test(target)) return await findStored(target, store);
  if (target.endsWith(".safetensors")) return await findFile(path, store);
  const bytes = new Uint8Array(await onDisk("read", path, readFile(path)));
  const recorded = await readPictureProvenance(bytes, target);
  if (!recorded) throw unknown(target);
  return { ...recorded, path, bytes };
}

async function findFile(path: string, store: RunStore): Promise<ArtifactWithProvenance> {
  const { artifact, provenance } = await readArtifactFile(path);
  if (provenance) return { provenance, artifact, input: { file: path } };
  const origin = await storedOrigin(await artifactId(artifact), store);
  if ("artifact" in origin) throw unknown(path);
  return { provenance: describeOrigin(origin), artifact, input: { file: path } };
}

async function findStored(start: string, store: RunStore): Promise<ArtifactWithProvenance> {
  const all = (await Array.fromAsync(store.list?.() ?? [])).map(({ id }) => id);
  const id = start.length === 64 ? start.toLowerCase() : wholeId(start, all, STORED);
  const artifact = await store.get(id);
  if (!artifact) {
    throw new UsageError(`Cannot find ${start}: there is no file and no artifact of that name`);
  }
  const origin = await storedOrigin(id, store);
  if ("artifact" in origin) throw unknown(`artifact ${id}`);
  return { provenance: describeOrigin(origin), artifact, input: { artifact: id } };
}

function unknown(name: string): ArtifactError {
  return new ArtifactError(
    `Cannot tell how ${name} was made because neither it nor the store records that: choose one that pixstage made`,
  );
}
