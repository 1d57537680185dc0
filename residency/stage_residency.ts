// This module is browser compatible.

import type { Weights } from "../models/checkpoint/weights.ts";
import type { Residency } from "../models/segments.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Weights up to this are held while their stage runs, unless something else is asked for. */
const SMALL_BYTES = 256e6;

/** Bytes of all weights of a component, as stored. */
export function weightBytes(weights: Weights): number {
  return weights.names.reduce((sum, name) => sum + weights.locate(name).length, 0);
}

/**
 * How long a stage's weights are held where nobody says: streamed on a CPU where they are large, as that takes no more
 * time than reading them; else while the stage runs. Autoencoders are small beside the planes that they make, which a cut
 * would hold for longer.
 *
 * @param device Where the stage runs.
 * @param stage The stage's name.
 * @param bytes Bytes of its weights.
 */
export function defaultResidency(device: string, stage: string, bytes: number): Residency {
  return device === "cpu" && stage !== "decode" && bytes > SMALL_BYTES ? "stream" : "stage";
}

/**
 * How long a stage holds its weights: as the runtime was told, else as they are large or small.
 *
 * @param runtime Where the stage runs.
 * @param stage The stage's name.
 * @param weights Its weights.
 */
export function stageResidency(
  runtime: Pick<Runtime, "device" | "residency">,
  stage: string,
  weights: Weights,
): Residency {
  return runtime.residency?.[stage] ?? runtime.residency?.["*"] ??
    defaultResidency(runtime.device, stage, weightBytes(weights));
}
