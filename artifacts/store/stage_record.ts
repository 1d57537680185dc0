// This module is browser compatible.

/**
 * How an artifact was made: the stage with its version and parameters, and its weights and inputs.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../artifact.ts";

/** An artifact's id, or a key: a SHA-256 in hexadecimal. */
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "It must be 64 hexadecimal digits");

/** Weights that a stage used. */
export const modelUseSchema = z.strictObject({
  /** The checkpoint, as the parameters name it. */
  model: z.string(),
  /** Which files were used if the checkpoint has several variants, e.g. `fp16`. */
  variant: z.string().optional(),
  /** The component, e.g. `transformer`. */
  component: z.string(),
  /** Identifies the weights, wherever they are stored. */
  fingerprint: z.string(),
});

/** The schema of {@linkcode StageRecord}. */
export const stageRecordSchema = z.strictObject({
  /** Version of the format. */
  version: z.literal(1),
  /** The stage's name. */
  stage: z.string().min(1),
  /** The stage's version. */
  stageVersion: z.string(),
  /** The stage's parameters, parsed. The result of JSON.parse is JSON. */
  parameters: z.custom<JsonObject>(
    (value) => value !== null && typeof value === "object" && !Array.isArray(value),
    "It must be an object",
  ),
  /** The weights that it used. */
  models: z.array(modelUseSchema),
  /** Ids of the artifacts at its input ports. */
  inputs: z.record(z.string(), sha256Schema),
  /** Ids of the artifacts at its output ports. */
  outputs: z.record(z.string(), sha256Schema),
  /** Warnings to show with the result. */
  warnings: z.array(z.string()).optional(),
});

/** Weights that a stage used. */
export type ModelUse = Readonly<z.infer<typeof modelUseSchema>>;

/** How the artifacts at a stage's output ports were made. */
export type StageRecord = Readonly<z.infer<typeof stageRecordSchema>>;
