// This module is browser compatible.

/**
 * How long weights are held, as users say it.
 *
 * @module
 */

import { z } from "zod";
import type { Residency } from "../models/segments.ts";
import { parseByStage } from "./by_stage.ts";

/** How long a stage's weights can be held. */
export const RESIDENCIES: readonly Residency[] = ["stream", "stage", "resident"];

/** How long each stage's weights are held, by the stage's name; `*` stands for all others. */
export type ResidencyByStage = Readonly<Record<string, Residency>>;

/** The schema of {@linkcode ResidencyByStage}. */
export const residencySchema = z.record(z.string(), z.enum(["stream", "stage", "resident"]));

/**
 * Reads a residency option: `stream`, or `encode=stream,denoise=stage`.
 *
 * @param text The option.
 * @returns The residency of each stage; `*` stands for those that are not named.
 * @throws {InputError} if a residency is none of the three.
 *
 * @example Usage
 * ```ts
 * import { parseResidency } from "./residency_option.ts";
 * import assert from "node:assert/strict";
 * assert.deepEqual(parseResidency("stage,denoise=stream"), { "*": "stage", denoise: "stream" });
 * ```
 */
export function parseResidency(text: string): ResidencyByStage {
  return parseByStage(text, "residency", RESIDENCIES);
}
