// This module is browser compatible.

import { InputError } from "../errors/pixstage_error.ts";
import { nearest } from "../errors/nearest.ts";
import type { Executor } from "./executors/executor.ts";
import type { GraphPlan, PlannedNode } from "./plan.ts";

/** A choice for some nodes, by node id or stage name. `*` stands for all others, where that is allowed. */
export type ByNode<T> = Readonly<Record<string, T>>;

/**
 * Returns the choice for a node. The order of precedence is: its id, its stage, the graph's own value, `*`.
 *
 * @param node The node.
 * @param choices The choices.
 * @param own The graph's own value.
 */
export function choiceFor<T>(
  { id, stage }: Pick<PlannedNode, "id" | "stage">,
  choices: ByNode<T> = {},
  own?: T | undefined,
): T | undefined {
  const get = (name: string): T | undefined => Object.hasOwn(choices, name) ? choices[name] : undefined;
  return get(id) ?? get(stage.name) ?? own ?? get("*");
}

/**
 * Finds the executor of each node. The first executor is the default.
 *
 * @param plan The nodes.
 * @param executors The available executors.
 * @param placement Names of executors, for some nodes.
 * @returns The executor of each node, by node id.
 * @throws {InputError} if there is no such executor, or no such node.
 */
export function placeNodes(
  plan: GraphPlan,
  executors: readonly [Executor, ...Executor[]],
  placement: ByNode<string> = {},
): ReadonlyMap<string, Executor> {
  const names = executors.map(({ name }) => name);
  const known = [...Object.keys(plan.document.nodes), ...plan.nodes.map(({ stage }) => stage.name)];
  const refuse = (what: string, name: string, details?: { readonly field: string }): never => {
    throw new InputError(
      "invalid_value",
      `Cannot run "${what}" on "${name}": the executors are ${names.join(", ")}`,
      { details },
    );
  };
  for (const [name, executor] of Object.entries(placement)) {
    if (!known.includes(name)) {
      throw new InputError(
        "unknown_node",
        `Cannot choose an executor for "${name}": there is no such node or stage. Did you mean "${
          nearest(name, known)
        }"?`,
        { details: { field: "executor" } },
      );
    }
    if (!names.includes(executor)) refuse(name, executor, { field: "executor" });
  }
  return new Map(plan.nodes.map((node) => {
    const name = choiceFor(node, placement, node.executor) ?? names[0]!;
    const executor = executors.find((candidate) => candidate.name === name) ?? refuse(node.id, name);
    return [node.id, executor];
  }));
}
