// This module is browser compatible.

import type { GraphDocument } from "./document.ts";
import { splitSource } from "./plan.ts";

/**
 * The ids of a graph's nodes, each after those that it takes from.
 *
 * @param graph A graph without circles.
 * @returns The ids.
 */
export function planOrder({ nodes }: Pick<GraphDocument, "nodes">): string[] {
  const ordered = new Set<string>();
  const visit = (id: string): void => {
    for (const source of Object.values(nodes[id]?.inputs ?? {})) {
      if (typeof source === "string") visit(splitSource(source)[0]);
    }
    ordered.add(id);
  };
  for (const id of Object.keys(nodes)) visit(id);
  return [...ordered];
}
