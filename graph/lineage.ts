// This module is browser compatible.

/**
 * The lineage of artifacts: which stage made each artifact, and from which inputs. It is a directed acyclic
 * graph, and every walk visits each node once.
 *
 * @module
 */

import type { StageRecord } from "../artifacts/store/stage_record.ts";
import type { RunStore } from "../artifacts/store/store.ts";

/** Origin of an artifact: an output of a stage, or unknown. */
export type Origin =
  | { readonly maker: Maker; readonly port: string }
  | { readonly artifact: string };

/** A stage that ran. */
export interface Maker {
  /** The stage that ran, and its outputs. */
  readonly record: StageRecord;
  /** Origins of the artifacts at its input ports. */
  readonly inputs: Readonly<Record<string, Origin>>;
}

/**
 * Sorts the ids of a graph's nodes topologically: each node follows its sources.
 *
 * @param ids The nodes to start from.
 * @param sources Returns the source nodes of a node.
 * @param onCycle Called with the nodes of a cycle, the first repeated at the end. It must throw.
 * @returns The ids of all nodes that were reached.
 */
export function dependencyOrder(
  ids: Iterable<string>,
  sources: (id: string) => readonly string[],
  onCycle: (cycle: readonly string[]) => never,
): string[] {
  const done = new Set<string>();
  const trail = new Set<string>();
  const visit = (id: string): void => {
    if (done.has(id)) return;
    if (trail.has(id)) {
      const nodes = [...trail];
      onCycle([...nodes.slice(nodes.indexOf(id)), id]);
    }
    trail.add(id);
    for (const source of sources(id)) visit(source);
    trail.delete(id);
    done.add(id);
  };
  for (const id of ids) visit(id);
  return [...done];
}

/**
 * Returns the origin of an artifact as far as the store knows it.
 *
 * @param id The artifact.
 * @param store The store.
 * @returns Its origin. Lineage in a store can be cyclic because a stage may return its input; the walk ends
 * at the first repeat.
 */
export async function storedOrigin(id: string, store: RunStore): Promise<Origin> {
  const known = new Map<string, Origin>();
  const trail = new Set<string>();
  const originIn = async (id: string): Promise<Origin> => {
    const found = known.get(id);
    if (found) return found;
    const record = trail.has(id) ? undefined : await store.madeBy(id);
    const port = record && Object.keys(record.outputs).find((name) => record.outputs[name] === id);
    if (!record || port === undefined) return { artifact: id };
    trail.add(id);
    const inputs: Record<string, Origin> = {};
    for (const [name, input] of Object.entries(record.inputs)) inputs[name] = await originIn(input);
    trail.delete(id);
    const origin: Origin = { maker: { record, inputs }, port };
    known.set(id, origin);
    return origin;
  };
  return await originIn(id);
}
