// This module is browser compatible.

/**
 * The reports of a running stage. The runner adds the node and the time.
 *
 * @module
 */

import { z } from "zod";

/** A segment of the weights is about to be opened. */
export const loadSchema = z.object({
  type: z.literal("stage:load"),
  /** The part that is being loaded, e.g. `text_encoder`. */
  part: z.string(),
  /** Segments loaded so far. */
  loaded: z.int().nonnegative(),
  /** Total number of segments. */
  total: z.int().positive(),
  /** Bytes of weights in these segments. */
  weightBytes: z.number().nonnegative().optional(),
});

/** The stage continues from an earlier state. */
export const resumedSchema = z.object({
  type: z.literal("stage:resumed"),
  /** Steps that were done before, over all images of the stage. */
  step: z.int().nonnegative(),
  /** Total number of steps, over all images of the stage. */
  steps: z.int().positive(),
});

/** A step is done. */
export const stepSchema = z.object({
  type: z.literal("step"),
  /** Steps done, over all images of the stage. */
  step: z.int().positive(),
  /** Total number of steps, over all images of the stage. */
  steps: z.int().positive(),
  /** Index of the image that this step belongs to. */
  image: z.int().nonnegative(),
  /** Number of images in the stage. */
  images: z.int().positive(),
  /** The timestep that the model received, if there is one. */
  timestep: z.number().optional(),
});

/** An intermediate image. */
export const previewSchema = z.object({
  type: z.literal("preview"),
  /** Index of the image. */
  image: z.int().nonnegative(),
  /** Steps done for that image. */
  step: z.int().positive(),
  width: z.int().positive(),
  height: z.int().positive(),
  /** A small PNG, base64-encoded. */
  png: z.string(),
});

/** A warning for the user. */
export const warningSchema = z.object({ type: z.literal("warning"), message: z.string() });

/** The schema of {@linkcode StageReport}. */
export const stageReportSchema = z.discriminatedUnion("type", [
  loadSchema,
  resumedSchema,
  stepSchema,
  previewSchema,
  warningSchema,
]);

/** A report of a stage. */
export type StageReport = z.infer<typeof stageReportSchema>;
