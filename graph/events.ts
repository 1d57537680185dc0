// This module is browser compatible.

/**
 * What happens in a run, as one discriminated union. Progress bars, JSON lines, server-sent events and the web page are
 * views of this one stream.
 *
 * @module
 */

import { faultSchema } from "../errors/serialized_error.ts";
import { z } from "zod";
import { memoryPlanSchema } from "./memory_plan.ts";
import {
  loadSchema,
  previewSchema,
  resumedSchema,
  stepSchema,
  warningSchema,
} from "../stages/stage_report.ts";

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
  /** Memory of the GPU at its largest, as seen at the end of runs of graphs. */
  gpuPeak: z.number().optional(),
  /** Bytes of the weights that were open at a time, at most. */
  weightBytes: z.number().optional(),
  /** Milliseconds of the stage that opening weights took. */
  loadMs: z.number().optional(),
});

/** The schema of {@linkcode RunEvent}. */
export const runEventSchema = z.discriminatedUnion("type", [
  /** How the run will use memory; told before its first stage, where any stage tells its memory. */
  memoryPlanSchema.extend({ type: z.literal("plan"), ...elapsed }),
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
    /** Where it ran: `inline`, `worker`, `process`, or a server's address. */
    executor: z.string().optional(),
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
    /** What happened: a code of `ERROR_CODES`. */
    code: z.string(),
    /** Who can put it right. */
    fault: faultSchema,
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
