// This module is browser compatible.

/**
 * One graph for many pictures that differ in a few settings. Nodes that the pictures have in common appear
 * once.
 *
 * @module
 */

import { asJson, canonicalJson } from "../artifacts/canonical_json.ts";
import type { GraphDocumentInput } from "./document.ts";
import { splitSource } from "./plan.ts";

/** A graph for many pictures. */
export interface GridGraph {
  /** The graph. */
  readonly graph: GraphDocumentInput;
  /** The output of each picture, in the order of the graphs. */
  readonly outputs: readonly string[];
}

/**
 * Merges graphs. Nodes with the same stage, parameters and inputs become one node.
 *
 * @param graphs The graphs.
 * @param output The output that each graph is run for, e.g. `decode.image`.
 * @returns The merged graph.
 */
export function gridGraph(graphs: readonly GraphDocumentInput[], output: string): GridGraph {
  const nodes: GraphDocumentInput["nodes"] = {};
  const known = new Map<string, string>();
  const outputs = graphs.map((graph) => {
    const names = new Map<string, string>();
    const add = (id: string): string => {
      const found = names.get(id);
      if (found !== undefined) return found;
      const node = graph.nodes[id]!;
      const inputs = Object.fromEntries(
        Object.entries(node.inputs ?? {}).map(([port, source]) => {
          if (typeof source !== "string") return [port, source];
          const [from, out] = splitSource(source);
          return [port, `${add(from)}.${out}`];
        }),
      );
      const content = canonicalJson(asJson({ ...node, inputs }));
      const name = known.get(content) ?? unused(id, nodes);
      known.set(content, name);
      nodes[name] = { ...node, inputs };
      names.set(id, name);
      return name;
    };
    const [last, port] = splitSource(output);
    return `${add(last)}.${port}`;
  });
  return { graph: { pixstage: 1, nodes }, outputs };
}

/** Returns a node id that is not in use yet: the id itself, or the id with a number appended. */
function unused(id: string, nodes: Readonly<Record<string, unknown>>): string {
  if (!Object.hasOwn(nodes, id)) return id;
  let number = 2;
  while (Object.hasOwn(nodes, `${id}-${number}`)) number++;
  return `${id}-${number}`;
}
