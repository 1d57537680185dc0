/**
 * `--set node.parameter=value`: changes parameters of an existing graph.
 *
 * @module
 */

import { type Command, InvalidArgumentError } from "commander";
import type { GraphDocument, GraphNode } from "../graph/document.ts";
import { nearest } from "../errors/nearest.ts";
import { keyValue } from "./option_values.ts";
import { UsageError } from "./usage_error.ts";

/** New values, by `node.parameter`. */
export type SetParameters = Readonly<Record<string, unknown>>;

/** Adds the `--set` option. */
export function addSetOption(command: Command): Command {
  return command.option(
    "--set <node.parameter=value>",
    "new value of a parameter of the graph, JSON or text; repeatable",
    (text: string, gathered?: Record<string, unknown>) => {
      if (/^[^.=]+\.[^=]+=/.test(text)) return keyValue(text, gathered);
      throw new InvalidArgumentError("It must be NODE.PARAMETER=VALUE.");
    },
  );
}

/**
 * Replaces parameters of a graph.
 *
 * @param document The graph.
 * @param values The new values. Further dots in a key name fields of a parameter that is an object.
 * @returns A copy of the graph with the new values.
 * @throws {UsageError} if there is no such node.
 */
export function setParameters(document: GraphDocument, values: SetParameters = {}): GraphDocument {
  const nodes: Record<string, GraphNode> = { ...document.nodes };
  for (const [path, value] of Object.entries(values)) {
    const [id = "", ...keys] = path.split(".");
    const node = Object.hasOwn(nodes, id) ? nodes[id] : undefined;
    if (!node) {
      throw new UsageError(
        `Cannot set ${path}: there is no node "${id}". Did you mean "${nearest(id, Object.keys(nodes))}"?`,
        "set",
      );
    }
    nodes[id] = { ...node, parameters: withValue(node.parameters, keys, value) };
  }
  return { ...document, nodes };
}

function withValue(object: unknown, keys: readonly string[], value: unknown): Record<string, unknown> {
  const [key = "", ...rest] = keys;
  const fields = object !== null && typeof object === "object" ? object as Record<string, unknown> : {};
  return { ...fields, [key]: rest.length === 0 ? value : withValue(fields[key], rest, value) };
}
