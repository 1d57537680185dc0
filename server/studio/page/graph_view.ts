/// <reference lib="dom" />
/**
 * Draws the graph of a run, and highlights each node as it runs.
 *
 * @module
 */

import type { VNode } from "preact";
import { type Graph, readGraph, sourcesOf } from "./graph.ts";
import { html } from "./html.ts";
import type { NodeState, Run } from "./state.ts";
import { seconds } from "./words.ts";

/** A node's position: the longest path before it, and its index among the nodes of the same depth. */
interface Place {
  readonly id: string;
  readonly stage: string;
  readonly depth: number;
  readonly row: number;
  readonly rows: number;
  readonly sources: readonly string[];
}

/** The graph of a run. */
export function GraphView({ run }: { readonly run: Run }): VNode | null {
  const places = layOut(readGraph(run.job.graph) ?? { nodes: {} });
  if (places.length === 0) return null;
  const depths = Math.max(...places.map(({ depth }) => depth)) + 1;
  const rows = Math.max(...places.map(({ rows }) => rows));
  const at = ({ depth, row, rows }: Place): [along: number, across: number] => [
    (depth + 0.5) / depths,
    (row + 0.5) / rows,
  ];
  const edges = places.flatMap((place) =>
    place.sources.map((id) => {
      const from = places.find((other) => other.id === id)!;
      const isLit = run.nodes[id]?.status === "done" || run.nodes[id]?.status === "cached";
      return { key: `${id}-${place.id}`, from: at(from), to: at(place), isLit };
    })
  );
  return html`
    <section class="graph" aria-label="Graph of the run" style=${`--depths: ${depths}; --rows: ${rows}`}>
      ${["along", "down"].map((way) =>
        html`<svg class=${`edges ${way}`} viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          ${
          edges.map(({ key, from, to, isLit }) =>
            html`<path key=${key} class=${isLit ? "lit" : ""} d=${curve(from, to, way === "down")} />`
          )
        }
        </svg>`
      )}
      <ol>
        ${places.map((place) => {
          const [along, across] = at(place);
          const state = run.nodes[place.id] ?? { status: "waiting" as const };
          const share = state.steps ? state.step! / state.steps : state.status === "waiting" ? 0 : 1;
          return html`
            <li key=${place.id} class=${`node ${state.status}`} data-node=${place.id}
              style=${`--along: ${along}; --across: ${across}; --done: ${share}`}>
              <strong>${place.id}</strong>
              <span>${tell(place, state)}</span>
            </li>
          `;
        })}
      </ol>
    </section>
  ` as VNode;
}

function tell({ id, stage }: Place, { status, step, steps, picture, loading, ms }: NodeState): string {
  if (status === "cached") return "from the store";
  if (status === "failed") return "stopped";
  if (status === "done") return ms === undefined ? "done" : seconds(ms);
  if (status === "running") {
    if (picture) return `${picture.image + 1}/${picture.images}: step ${picture.step}/${picture.steps}`;
    if (steps !== undefined) return `step ${step} of ${steps}`;
    return loading === undefined ? "running" : `loading ${loading}`;
  }
  return stage === id ? "waiting" : stage;
}

function layOut(graph: Graph): Place[] {
  const { nodes } = graph;
  const sources = (id: string): string[] => sourcesOf(graph, id);
  const depthOf = (id: string): number => Math.max(-1, ...sources(id).map(depthOf)) + 1;
  const byDepth = Map.groupBy(Object.keys(nodes), depthOf);
  return Object.entries(nodes).map(([id, { stage }]) => {
    const depth = depthOf(id);
    const peers = byDepth.get(depth)!;
    return { id, stage, depth, row: peers.indexOf(id), rows: peers.length, sources: sources(id) };
  });
}

function curve([x1, y1]: [number, number], [x2, y2]: [number, number], isDown: boolean): string {
  const middle = (x1 + x2) / 2;
  const points = [[x1, y1], [middle, y1], [middle, y2], [x2, y2]].map(([x, y]) => isDown ? [y, x] : [x, y]);
  return `M${points[0]} C${points.slice(1).join(" ")}`;
}
