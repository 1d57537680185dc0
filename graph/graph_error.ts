// This module is browser compatible.

/**
 * The faults that a graph can have, as a union on `code`.
 *
 * @module
 */

import { PixstageError } from "../errors/pixstage_error.ts";

/** Location in the document, e.g. `["nodes", "denoise", "inputs", "embeddings"]`. */
export type GraphPath = readonly (string | number)[];

/** One fault of a graph. */
export type GraphIssue =
  & {
    /** Location in the document. */
    readonly path: GraphPath;
    /** The problem, and how to fix it. */
    readonly message: string;
  }
  & (
    | { readonly code: "invalid_document" }
    | { readonly code: "empty_graph" }
    | { readonly code: "unknown_stage"; readonly stage: string }
    | { readonly code: "invalid_parameter" }
    | { readonly code: "unknown_port"; readonly port: string; readonly ports: readonly string[] }
    | { readonly code: "missing_input"; readonly port: string }
    | { readonly code: "unknown_node"; readonly node: string }
    | { readonly code: "kind_mismatch"; readonly expected: string; readonly found: string }
    | { readonly code: "cycle"; readonly nodes: readonly string[] }
  );

/** The graph cannot run. Nothing was loaded and nothing was written. */
export class GraphError extends PixstageError<"invalid_graph"> {
  override name = "GraphError";
  /** All faults of the graph. */
  readonly issues: readonly GraphIssue[];

  /** @param issues At least one fault. */
  constructor(issues: readonly GraphIssue[]) {
    const message = issues.map((issue) => `${issue.path.join(".") || "graph"}: ${issue.message}`).join("\n");
    super("invalid_graph", message, { details: { field: issues[0]?.path.join(".") ?? "", issues } });
    this.issues = issues;
  }
}
