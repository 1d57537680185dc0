// This module is browser compatible.

/**
 * Planning: turns a document into checked nodes in an order in which they can run. The module is pure.
 *
 * @module
 */

import type { z } from "zod";
import { explainIssue } from "../errors/explain_zod_error.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { Residency } from "../models/segments.ts";
import type { Stage } from "../stages/stage.ts";
import {
  type GraphDocument,
  type GraphDocumentInput,
  graphDocumentSchema,
  type GraphInput,
} from "./document.ts";
import { GraphError, type GraphIssue, type GraphPath } from "./graph_error.ts";
import { dependencyOrder } from "./lineage.ts";
import { nearest } from "../errors/nearest.ts";
import { shownName } from "../errors/shown_name.ts";

/** A node that has been checked. */
export interface PlannedNode {
  /** The node's id in the document. */
  readonly id: string;
  /** The node's stage. */
  readonly stage: Stage;
  /** The node's parameters, parsed by the stage's schema. */
  readonly parameters: unknown;
  /** Source of each input port's artifact. */
  readonly inputs: Readonly<Record<string, GraphInput>>;
  /** Name of the executor, if the document names one. */
  readonly executor?: string | undefined;
  /** How long the node keeps its weights in memory, if the document says so. */
  readonly residency?: Residency | undefined;
}

/** A graph in an order in which it can run. */
export interface GraphPlan {
  /** The planned document, with defaults filled in. */
  readonly document: GraphDocument;
  /** The nodes, each after its dependencies. */
  readonly nodes: readonly PlannedNode[];
}

/** Options of {@linkcode planGraph}. */
export interface PlanOptions {
  /** Leaves out all nodes that this node does not depend on. */
  readonly until?: string | undefined;
}

/**
 * Checks a document against the stages' ports and schemas, and sorts its nodes. Nothing is read or loaded.
 *
 * @param input The document, parsed from JSON.
 * @param registry The stages that the document may name.
 * @param options How to plan.
 * @returns The plan.
 * @throws {GraphError} with every fault, each with its path.
 */
export function planGraph(
  input: GraphDocumentInput | unknown,
  registry: StageRegistry,
  options: PlanOptions = {},
): GraphPlan {
  const parsed = graphDocumentSchema.safeParse(input);
  if (!parsed.success) throw new GraphError(zodIssues(parsed.error, input, [], "invalid_document"));
  const document = parsed.data;
  const ids = Object.keys(document.nodes);
  if (ids.length === 0) {
    throw new GraphError([{
      code: "empty_graph",
      path: ["nodes"],
      message: "A graph needs at least one node",
    }]);
  }
  const issues: GraphIssue[] = [];
  const planned = new Map<string, PlannedNode>();
  for (const [id, node] of Object.entries(document.nodes)) {
    const path = ["nodes", id];
    if (!registry.has(node.stage)) {
      const suggestion = nearest(node.stage, registry.list().map((stage) => stage.name));
      issues.push({
        code: "unknown_stage",
        stage: node.stage,
        path: [...path, "stage"],
        message: `There is no stage "${shownName(node.stage)}": did you mean "${suggestion}"?`,
      });
      continue;
    }
    const stage = registry.get(node.stage);
    const parameters = stage.parameters.safeParse(node.parameters);
    if (!parameters.success) {
      issues.push(
        ...zodIssues(parameters.error, node.parameters, [...path, "parameters"], "invalid_parameter"),
      );
    }
    issues.push(...checkPorts(document, registry, id, stage));
    planned.set(id, {
      id,
      stage,
      parameters: parameters.data,
      inputs: node.inputs,
      executor: node.executor,
      residency: node.residency,
    });
  }
  const { until } = options;
  if (until !== undefined && !Object.hasOwn(document.nodes, until)) {
    issues.push({
      code: "unknown_node",
      node: until,
      path: ["nodes"],
      message: `Cannot stop at node "${until}": it does not exist. Did you mean "${nearest(until, ids)}"?`,
    });
  }
  if (issues.length > 0) throw new GraphError(issues);
  return { document, nodes: inOrder(planned, until === undefined ? ids : [until]) };
}

/** Converts zod's issues to graph issues. */
function zodIssues(
  error: z.ZodError,
  value: unknown,
  prefix: GraphPath,
  code: "invalid_document" | "invalid_parameter",
): GraphIssue[] {
  return error.issues.map((issue) => {
    const { path, problem } = explainIssue(issue, value);
    return { code, path: [...prefix, ...path], message: problem };
  });
}

/**
 * Returns the faults of a node's inputs: unknown or missing ports, missing sources, kinds that do not match.
 */
function checkPorts(
  document: GraphDocument,
  registry: StageRegistry,
  id: string,
  stage: Stage,
): GraphIssue[] {
  const issues: GraphIssue[] = [];
  const inputs = document.nodes[id]?.inputs ?? {};
  const path = ["nodes", id, "inputs"];
  for (const [port, { optional }] of Object.entries(stage.inputs)) {
    if (!optional && !Object.hasOwn(inputs, port)) {
      issues.push({
        code: "missing_input",
        port,
        path: [...path, port],
        message: `Stage "${stage.name}" needs an input "${port}"`,
      });
    }
  }
  for (const [port, source] of Object.entries(inputs)) {
    const expected = Object.hasOwn(stage.inputs, port) ? stage.inputs[port] : undefined;
    if (!expected) {
      const ports = Object.keys(stage.inputs);
      issues.push({
        code: "unknown_port",
        port,
        ports,
        path: [...path, port],
        message: `Stage "${stage.name}" has no input "${port}": its inputs are ${ports.join(", ") || "none"}`,
      });
    } else if (typeof source === "string") {
      issues.push(...checkSource(document, registry, [...path, port], source, expected.kind));
    }
  }
  return issues;
}

/** Returns the faults of one `node.port` source. */
function checkSource(
  document: GraphDocument,
  registry: StageRegistry,
  path: GraphPath,
  source: string,
  expected: string,
): GraphIssue[] {
  const [sourceId, port] = splitSource(source);
  const node = Object.hasOwn(document.nodes, sourceId) ? document.nodes[sourceId] : undefined;
  if (!node) {
    const message = `There is no node "${shownName(sourceId)}": did you mean "${
      nearest(sourceId, Object.keys(document.nodes))
    }"?`;
    return [{ code: "unknown_node", node: sourceId, path, message }];
  }
  if (!registry.has(node.stage)) return [];
  const { outputs } = registry.get(node.stage);
  const output = Object.hasOwn(outputs, port) ? outputs[port] : undefined;
  if (!output) {
    const ports = Object.keys(outputs);
    const message = `Node "${sourceId}" has no output "${port}": its outputs are ${
      ports.join(", ") || "none"
    }`;
    return [{ code: "unknown_port", port, ports, path, message }];
  }
  if (output.kind !== expected) {
    const message = `This input expects ${expected}, but "${source}" produces ${output.kind}`;
    return [{ code: "kind_mismatch", expected, found: output.kind, path, message }];
  }
  return [];
}

/** Splits `node.port` at its last dot. */
export function splitSource(source: string): [node: string, port: string] {
  const dot = source.lastIndexOf(".");
  return [source.slice(0, dot), source.slice(dot + 1)];
}

/** Returns the nodes that `goals` depend on, each after its sources. */
function inOrder(nodes: ReadonlyMap<string, PlannedNode>, goals: readonly string[]): PlannedNode[] {
  const order = dependencyOrder(goals, (id) => sourceNodes(nodes.get(id)!), (cycle) => {
    throw new GraphError([{
      code: "cycle",
      nodes: [...cycle],
      path: ["nodes", cycle[0]!],
      message: `The graph has a cycle: ${cycle.join(" → ")}`,
    }]);
  });
  return order.map((id) => nodes.get(id)!);
}

/** Returns the ids of a node's source nodes. */
export function sourceNodes({ inputs }: { readonly inputs: Readonly<Record<string, GraphInput>> }): string[] {
  return Object.values(inputs).flatMap((source) =>
    typeof source === "string" ? [splitSource(source)[0]] : []
  );
}
