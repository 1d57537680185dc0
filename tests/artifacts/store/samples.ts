/**
 * Artifacts, records and folders for tests of stores.
 *
 * @module
 */

import type { Artifact } from "../../../artifacts/artifact.ts";
import type { StageRecord } from "../../../artifacts/store/stage_record.ts";
import { tensor } from "../../../artifacts/tensor.ts";

/** Returns an artifact of some kilobytes that depends on `seed`. */
export function sampleArtifact(seed: number, size = 1000): Artifact {
  const data = Float32Array.from({ length: size }, (_, index) => Math.sin(index * (seed + 1)));
  return { kind: "latents", tensors: { latents: tensor("float32", [size], data) }, metadata: { seed } };
}

/** Returns a record of a stage that made an artifact. */
export function record(stage: string, id: string): StageRecord {
  return {
    version: 1,
    stage,
    stageVersion: "1",
    parameters: {},
    models: [],
    inputs: {},
    outputs: { latents: id },
  };
}

/** Runs a test in a temporary folder. */
export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pixstage-store-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
