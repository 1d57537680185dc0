// This module is browser compatible.

import { InputError } from "../errors/pixstage_error.ts";
import type { Executor } from "./executors/executor.ts";
import { nearest } from "../stages/nearest.ts";
import type { GraphPlan, PlannedNode } from "./plan.ts";

/** Names of executors, by node id or stage name. */
export type Placement = Readonly<Record<string, string>>;

/**
 * Finds where each node runs: as the placement says for its id, else for its stage, else as the graph says, else in the
 * first executor.
 *
 * @param plan The nodes.
 * @param executors Where nodes can run.
 * @param placement Where some of them are to run.
 * @returns The executor of each node.
 * @throws {InputError} if an executor, or a node of the placement, is not there.
 */
export function placeNodes(
  plan: GraphPlan,
  executors: readonly [Executor, ...Executor[]],
  placement: Placement = {},
): ReadonlyMap<PlannedNode, Executor> {
  const names = executors.map(({ name }) => name);
  const known = [...Object.keys(plan.document.nodes), ...plan.nodes.map(({ stage }) => stage.name)];
  for (const name of Object.keys(placement)) {
    if (!known.includes(name)) {
      throw new InputError(
        "unknown_node",
        `Cannot place "${name}" as there is no such node or stage: did you mean "${nearest(name, known)}"?`,
      );
    }
  }
  return new Map(plan.nodes.map((node) => {
    const name = placement[node.id] ?? placement[node.stage.name] ?? node.executor ?? names[0]!;
    const executor = executors.find((candidate) => candidate.name === name);
    if (!executor) {
      throw new InputError(
        "invalid_value",
        `Cannot run "${node.id}" as its executor must be one of ${
          names.join(", ")
        }: current value is "${name}"`,
      );
    }
    return [node, executor];
  }));
}
