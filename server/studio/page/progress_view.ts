/// <reference lib="dom" />
/**
 * Shows the progress and memory use of a run.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { cancel } from "./run.ts";
import { isOver } from "./run_events.ts";
import { queue, type Run } from "./state.ts";
import { megabytes, seconds, stepsTaken, timeLeft } from "./words.ts";

/** The progress of a run. */
export function ProgressView({ run }: { readonly run: Run }): VNode {
  const { status, memory, job, nodes } = run;
  const running = Object.values(nodes).find((state) => state.status === "running");
  const share = status === "completed" ? 1 : running?.steps ? (running.step ?? 0) / running.steps : 0;
  const largest = Math.max(memory?.peak ?? 0, 1);
  const used = memory?.now ?? 0;
  return html`
    <div class="progress">
      <div class=${`meter ${status}`}>
        <span id="status">${statusOf(run)}</span>
        <span class="unseen" role="status">${`${status[0]?.toUpperCase()}${status.slice(1)}`}</span>
        <div class="bar" role="progressbar" aria-label="Steps" aria-valuenow=${Math.round(share * 100)}
          aria-valuemin="0" aria-valuemax="100"><i style=${`width: ${share * 100}%`}></i></div>
      </div>
      ${!isOver(run) && html`
        <button type="button" class="button stop" id="cancel" onClick=${() => cancel(job.id)}>Cancel</button>
      `}
      <div class="meter memory">
        <span>${memory ? `${megabytes(used)} in memory, peak ${megabytes(memory.peak)}` : "memory"}</span>
        <div class="bar" role="meter" aria-label="Memory" aria-valuenow=${Math.round(used / 1e6)}
          aria-valuemin="0" aria-valuemax=${Math.round(largest / 1e6)}>
          <i style=${`width: ${used / largest * 100}%`}></i>
        </div>
      </div>
    </div>
  ` as VNode;
}

function statusOf({ status, nodes, job, elapsedMs }: Run): string {
  if (status === "queued") {
    const before = queue.value.find(({ id }) => id === job.id)?.queue_position ?? job.queue_position;
    return before ? `${before} ahead of this one` : "next in line";
  }
  if (status !== "running") return `${status} in ${seconds(elapsedMs)}`;
  const [id, state] = Object.entries(nodes).find(([, node]) => node.status === "running") ?? [];
  if (!state) return "starting";
  const left = state.leftMs === undefined ? "" : `, ${timeLeft(state.leftMs)}`;
  return [id, stepsTaken(state)].filter((part) => part).join(": ") + left;
}
