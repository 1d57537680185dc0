// This module is browser compatible.

/**
 * What happens in a run, as one discriminated union. Progress bars, JSON lines, server-sent events and the web page are
 * views of this one stream.
 *
 * @module
 */

import { z } from "zod";

/** Which node of the graph an event speaks of. */
const node = {
  /** The node's id in the graph document. */
  node: z.string(),
  /** The node's stage. */
  stage: z.string(),
  /** Place of the node in the order of the run, from 0. */
  nodeIndex: z.int().nonnegative(),
  /** Nodes in the run. */
  nodes: z.int().positive(),
};

/** Milliseconds since the run began. */
const elapsed = { elapsedMs: z.number().nonnegative() };

/** Memory of the process that runs a stage, in bytes, where it can be known. */
export const stageMemorySchema = z.object({
  /** Resident now. */
  resident: z.number(),
  /** Of that, not backed by a file. */
  anonymous: z.number().optional(),
  /** Of that, mapped files: weights. */
  file: z.number().optional(),
  /** Largest resident size since the stage began. */
  peak: z.number().optional(),
  /** Largest share of it that no file backs. */
  peakAnonymous: z.number().optional(),
  /** Largest share of mapped files. */
  peakFile: z.number().optional(),
  /** Largest resident size of the process that ran the stage, since it started. */
  processPeak: z.number().optional(),
  /** Bytes of the weights that were open at a time, at most. */
  weightBytes: z.number().optional(),
  /** Milliseconds of the stage that opening weights took. */
  loadMs: z.number().optional(),
});

const loadSchema = z.object({
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

const resumedSchema = z.object({
  type: z.literal("stage:resumed"),
  /** Steps that were done before, over all images of the stage. */
  step: z.int().nonnegative(),
  /** Steps in all, over all images of the stage. */
  steps: z.int().positive(),
});

const stepSchema = z.object({
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

const previewSchema = z.object({
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

const warningSchema = z.object({ type: z.literal("warning"), message: z.string() });

/** The schema of {@linkcode StageReport}. */
export const stageReportSchema = z.discriminatedUnion("type", [
  loadSchema,
  resumedSchema,
  stepSchema,
  previewSchema,
  warningSchema,
]);

/** The schema of {@linkcode RunEvent}. */
export const runEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("stage:start"), ...node, ...elapsed }),
  loadSchema.extend({ ...node, ...elapsed }),
  z.object({ type: z.literal("stage:cached"), ...node, ...elapsed }),
  resumedSchema.extend({ ...node, ...elapsed }),
  stepSchema.extend({ ...node, ...elapsed }),
  previewSchema.extend({ ...node, ...elapsed }),
  z.object({
    type: z.literal("checkpoint"),
    ...node,
    ...elapsed,
    /** SHA-256 of its content: `resume` goes on from it. */
    id: z.string(),
  }),
  z.object({
    type: z.literal("stage:end"),
    ...node,
    ...elapsed,
    /** Milliseconds that the stage took. */
    ms: z.number().nonnegative(),
    /** Memory after release, and the peak during the stage. */
    memory: stageMemorySchema.optional(),
  }),
  z.object({
    type: z.literal("artifact"),
    ...node,
    ...elapsed,
    /** The output port. */
    port: z.string(),
    /** SHA-256 of the artifact's content. */
    id: z.string(),
    /** The artifact's kind. */
    kind: z.string(),
  }),
  warningSchema.extend({ ...elapsed, node: z.string().optional() }),
  z.object({
    type: z.literal("done"),
    ...elapsed,
    /** Largest resident size of the run in bytes, where known. */
    peakBytes: z.number().optional(),
  }),
  z.object({
    type: z.literal("failed"),
    ...elapsed,
    /** The error's class. */
    error: z.string(),
    message: z.string(),
    /** The node that failed, where it was one. */
    node: z.string().optional(),
  }),
  z.object({ type: z.literal("cancelled"), ...elapsed }),
]);

/** Something that happened in a run. */
export type RunEvent = z.infer<typeof runEventSchema>;

/** Memory of the process that runs a stage. */
export type StageMemory = z.infer<typeof stageMemorySchema>;

/** What a stage may report of itself; the runner adds the node and the time. */
export type StageReport = z.infer<typeof stageReportSchema>;
