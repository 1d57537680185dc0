// This module is browser compatible.

/**
 * The events of a run, as one discriminated union. Progress bars, JSON lines, server-sent events and the web
 * page are views of this one stream.
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

/** The node that an event is about. */
const node = {
  /** The node's id in the graph document. */
  node: z.string(),
  /** The node's stage. */
  stage: z.string(),
  /** Position of the node in the order of the run, from 0. */
  nodeIndex: z.int().nonnegative(),
  /** Number of nodes in the run. */
  nodes: z.int().positive(),
};

/** Milliseconds since the run began. */
const elapsed = { elapsedMs: z.number().nonnegative() };

/** Memory of the process that runs a stage, in bytes, on systems that report it. */
export const stageMemorySchema = z.object({
  /** Resident memory now. */
  resident: z.number(),
  /** The part of `resident` that no file backs. */
  anonymous: z.number().optional(),
  /** The part of `resident` that is mapped from files, i.e. weights. */
  file: z.number().optional(),
  /** Peak resident memory since the stage began. */
  peak: z.number().optional(),
  /** Peak of the part that no file backs. */
  peakAnonymous: z.number().optional(),
  /** Peak of the part that is mapped from files. */
  peakFile: z.number().optional(),
  /** Peak resident memory of the process that ran the stage, since the process started. */
  processPeak: z.number().optional(),
  /** Peak GPU memory, sampled at the end of each ONNX graph run. */
  gpuPeak: z.number().optional(),
  /** Maximum number of bytes of weights open at the same time. */
  weightBytes: z.number().optional(),
  /** Milliseconds that the stage spent opening weights. */
  loadMs: z.number().optional(),
});

/** The schema of {@linkcode RunEvent}. */
export const runEventSchema = z.discriminatedUnion("type", [
  /** How the run will use memory. Sent before the first stage, if any stage predicts its memory. */
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
    /** SHA-256 of the snapshot's content. `resume` continues from it. */
    id: z.string(),
  }),
  z.object({
    type: z.literal("stage:end"),
    ...node,
    ...elapsed,
    /** Milliseconds that the stage took. */
    ms: z.number().nonnegative(),
    /** Executor that ran the stage: `inline`, `worker`, `process`, or a server's address. */
    executor: z.string().optional(),
    /** Memory after the stage's release, and its peak during the stage. */
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
    /** Peak resident memory of the run in bytes, if known. */
    peakBytes: z.number().optional(),
  }),
  z.object({
    type: z.literal("failed"),
    ...elapsed,
    /** The error's class. */
    error: z.string(),
    /** The error's code, one of `ERROR_CODES`. */
    code: z.string(),
    /** Who can fix the error. */
    fault: faultSchema,
    message: z.string(),
    /** The node that failed, if a node did. */
    node: z.string().optional(),
  }),
  z.object({ type: z.literal("cancelled"), ...elapsed }),
]);

/** Something that happened in a run. */
export type RunEvent = z.infer<typeof runEventSchema>;

/** Memory of the process that runs a stage. */
export type StageMemory = z.infer<typeof stageMemorySchema>;
