// This module is browser compatible.

/**
 * The graph document: nodes, their parameters, and where their inputs come from. The document is plain JSON.
 *
 * @module
 */

import { z } from "zod";
import { residencySchema } from "../models/segments.ts";

const nodeId = z.string().regex(
  /^[A-Za-z][\w-]*$/,
  "A node id starts with a letter, followed by letters, digits, _ or -",
);

/** Source of an input: another node's output, a file, or an artifact in the store. */
export const inputSchema = z.union([
  z.string().regex(
    /^[A-Za-z][\w-]*\.\w+$/,
    'An input must be "node.port", {"file": path} or {"artifact": id}',
  ),
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ artifact: z.string().regex(/^[0-9a-f]{64}$/, "An artifact id must be 64 hex digits") }),
]);

/** One node. */
export const nodeSchema = z.strictObject({
  /** The stage's name. */
  stage: z.string().min(1),
  /** The stage's parameters; its own schema checks them. */
  parameters: z.record(z.string(), z.unknown()).default({}),
  /** Source of each input port's artifact. */
  inputs: z.record(z.string(), inputSchema).default({}),
  /** The executor that runs the node. The default is the runner's first executor. */
  executor: z.string().min(1).optional(),
  /**
   * How long the node keeps its weights in memory. The default depends on their size. Results do not depend
   * on it.
   */
  residency: residencySchema.optional(),
});

/** The schema of {@linkcode GraphDocument}. */
export const graphDocumentSchema = z.strictObject({
  /** Version of the document format. */
  pixstage: z.literal(1),
  /** A description of the graph for people, in one sentence. */
  description: z.string().optional(),
  /** Modules that add stages. They are never loaded unless the user allows it. */
  plugins: z.array(z.string().min(1)).optional(),
  /** The nodes, by id. */
  nodes: z.record(nodeId, nodeSchema),
});

/** Source of an input. */
export type GraphInput = z.infer<typeof inputSchema>;

/** One node of a graph. */
export type GraphNode = z.infer<typeof nodeSchema>;

/** A graph. */
export type GraphDocument = z.infer<typeof graphDocumentSchema>;

/** A graph as users may write it, with defaults left out. */
export type GraphDocumentInput = z.input<typeof graphDocumentSchema>;
