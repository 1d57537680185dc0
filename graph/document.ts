// This module is browser compatible.

/**
 * The graph document: nodes, their parameters, and where their inputs come from. Plain JSON.
 *
 * @module
 */

import { z } from "zod";
import { residencySchema } from "../models/segments.ts";

const nodeId = z.string().regex(
  /^[A-Za-z][\w-]*$/,
  "A node id begins with a letter and goes on with letters, digits, _ and -",
);

/** Where an input comes from: another node's output, a file, or an artifact of the store. */
export const inputSchema = z.union([
  z.string().regex(/^[A-Za-z][\w-]*\.\w+$/, 'An input is "node.port", {"file": path} or {"artifact": id}'),
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ artifact: z.string().regex(/^[0-9a-f]{64}$/, "An artifact id is 64 hex digits") }),
]);

/** One node. */
export const nodeSchema = z.strictObject({
  /** The stage's name. */
  stage: z.string().min(1),
  /** The stage's parameters; its own schema checks them. */
  parameters: z.record(z.string(), z.unknown()).default({}),
  /** Where each input port's artifact comes from. */
  inputs: z.record(z.string(), inputSchema).default({}),
  /** Where it runs; the runner's default otherwise. */
  executor: z.string().min(1).optional(),
  /** How long it holds its weights; as fits their size otherwise. Results do not depend on it. */
  residency: residencySchema.optional(),
});

/** The schema of {@linkcode GraphDocument}. */
export const graphDocumentSchema = z.strictObject({
  /** Version of the format. */
  pixstage: z.literal(1),
  /** A sentence about the graph, for people. */
  description: z.string().optional(),
  /** Modules that bring stages of their own. Never loaded unless the user allows it. */
  plugins: z.array(z.string().min(1)).optional(),
  /** The nodes, by id. */
  nodes: z.record(nodeId, nodeSchema),
});

/** Where an input comes from. */
export type GraphInput = z.infer<typeof inputSchema>;

/** One node of a graph. */
export type GraphNode = z.infer<typeof nodeSchema>;

/** A graph. */
export type GraphDocument = z.infer<typeof graphDocumentSchema>;

/** A graph as it may be written: defaults left out. */
export type GraphDocumentInput = z.input<typeof graphDocumentSchema>;
