// This module is browser compatible.

/**
 * What a stage may report of itself while it runs; the runner adds the node and the time.
 *
 * @module
 */

import { z } from "zod";

/** A piece of its weights is about to be opened. */
export const loadSchema = z.object({
  type: z.literal("stage:load"),
  /** What is being loaded: `text_encoder`. */
  part: z.string(),
  /** Pieces loaded so far. */
  loaded: z.int().nonnegative(),
  /** Pieces in all. */
  total: z.int().positive(),
  /** Bytes of the weights that these pieces refer to. */
  weightBytes: z.number().nonnegative().optional(),
});

/** It goes on from what was done before. */
export const resumedSchema = z.object({
  type: z.literal("stage:resumed"),
  /** Steps that were done before, over all images of the stage. */
  step: z.int().nonnegative(),
  /** Steps in all, over all images of the stage. */
  steps: z.int().positive(),
});

/** A step is done. */
export const stepSchema = z.object({
  type: z.literal("step"),
  /** Steps done, over all images of the stage. */
  step: z.int().positive(),
  /** Steps in all, over all images of the stage. */
  steps: z.int().positive(),
  /** The image that this step belongs to, from 0. */
  image: z.int().nonnegative(),
  /** Images in the stage. */
  images: z.int().positive(),
  /** The timestep that was handed to the model, where there is one. */
  timestep: z.number().optional(),
});

/** What a picture has come to. */
export const previewSchema = z.object({
  type: z.literal("preview"),
  /** The image that it shows, from 0. */
  image: z.int().nonnegative(),
  /** Steps done for that image. */
  step: z.int().positive(),
  width: z.int().positive(),
  height: z.int().positive(),
  /** A small PNG, base64. */
  png: z.string(),
});

/** Something that the user should know. */
export const warningSchema = z.object({ type: z.literal("warning"), message: z.string() });

/** The schema of {@linkcode StageReport}. */
export const stageReportSchema = z.discriminatedUnion("type", [
  loadSchema,
  resumedSchema,
  stepSchema,
  previewSchema,
  warningSchema,
]);

/** What a stage may report of itself. */
export type StageReport = z.infer<typeof stageReportSchema>;
