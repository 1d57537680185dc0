/**
 * Graph documents, as stored in jobs and picture files.
 *
 * @module
 */

/** A graph document. */
export interface Graph {
  readonly nodes: Readonly<Record<string, GraphNode>>;
}

/** A node of a graph document. */
export interface GraphNode {
  readonly stage: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** Whether a value is an object with fields. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a graph document; returns `undefined` if the value is not one. */
export function readGraph(value: unknown): Graph | undefined {
  if (!isRecord(value) || !isRecord(value["nodes"])) return undefined;
  const nodes: Record<string, GraphNode> = {};
  for (const [id, node] of Object.entries(value["nodes"])) {
    if (!isRecord(node)) return undefined;
    const { stage, parameters = {}, inputs = {} } = node;
    if (typeof stage !== "string" || !isRecord(parameters) || !isRecord(inputs)) return undefined;
    nodes[id] = { stage, parameters, inputs };
  }
  return { nodes };
}

/** Returns the node whose output a source is; `undefined` if the source is not a node's output. */
export function nodeOf(source: unknown): string | undefined {
  return typeof source === "string" && source.includes(".")
    ? source.slice(0, source.lastIndexOf("."))
    : undefined;
}

/** Returns the nodes whose outputs a node consumes. */
export function sourcesOf({ nodes }: Graph, id: string): string[] {
  return Object.values(nodes[id]?.inputs ?? {}).map(nodeOf)
    .filter((source) => source !== undefined).filter((source) => Object.hasOwn(nodes, source));
}

/** Returns the nearest node of a stage that an output depends on. */
export function upstream(graph: Graph, source: unknown, stage: string): string | undefined {
  const first = nodeOf(source);
  const found = new Set(first === undefined ? [] : [first]);
  for (const id of found) {
    if (graph.nodes[id]?.stage === stage) return id;
    for (const next of sourcesOf(graph, id)) found.add(next);
  }
  return undefined;
}
