/**
 * Applies events to the shown run.
 *
 * @module
 */

import { readGraph } from "./graph.ts";
import type { NodeState, PictureSteps, Run } from "./state.ts";
import type { Job, RunEvent } from "./types.ts";

type StepEvent = Extract<RunEvent, { readonly type: "step" }>;

/** The event types of a run. */
export const EVENT_TYPES: readonly RunEvent["type"][] = [
  "stage:start",
  "stage:load",
  "stage:cached",
  "stage:resumed",
  "step",
  "preview",
  "checkpoint",
  "stage:end",
  "artifact",
  "warning",
  "done",
  "failed",
  "cancelled",
];

/** Whether a job has ended. */
export function isOver({ status }: Pick<Job, "status">): boolean {
  return status !== "queued" && status !== "running";
}

/** Whether an event is the last of its run. */
export function isLast({ type }: RunEvent): boolean {
  return type === "done" || type === "failed" || type === "cancelled";
}

/** Returns the state of a run before any event. */
export function runOf(job: Job): Run {
  const status = isOver(job) ? "done" : "waiting";
  const { completed, started } = job;
  return {
    job,
    status: job.status,
    nodes: Object.fromEntries(Object.keys(readGraph(job.graph)?.nodes ?? {}).map((id) => [id, { status }])),
    previews: {},
    warnings: job.warnings,
    elapsedMs: isOver(job) ? ((completed ?? 0) - (started ?? completed ?? 0)) * 1000 : 0,
    message: job.error?.message,
  };
}

/** Returns the state of a run after an event. */
export function after(before: Run, event: RunEvent): Run {
  const now = { ...before, elapsedMs: event.elapsedMs };
  const node = (state: NodeState, id: string): Run => ({
    ...now,
    status: "running",
    nodes: { ...before.nodes, [id]: state },
  });
  switch (event.type) {
    case "stage:start":
      return node({ status: "running" }, event.node);
    case "stage:load":
      return node({ status: "running", loading: `${event.part} ${event.loaded}/${event.total}` }, event.node);
    case "stage:cached":
      return node({ status: "cached" }, event.node);
    case "stage:resumed": {
      const { step, steps } = event;
      return node({ status: "running", step, steps }, event.node);
    }
    case "step":
      return node(afterStep(before, event), event.node);
    case "preview": {
      const { picture, steps = 1 } = before.nodes[event.node] ?? {};
      const share = Math.min(event.step / (picture?.steps ?? steps), 1);
      return { ...now, previews: { ...before.previews, [event.image]: { png: event.png, share } } };
    }
    case "stage:end": {
      const ended = node({ ...before.nodes[event.node], status: "done", ms: event.ms }, event.node);
      if (!event.memory) return ended;
      const { resident, peak = resident } = event.memory;
      return { ...ended, memory: { now: resident, peak: Math.max(peak, before.memory?.peak ?? 0) } };
    }
    case "warning":
      return { ...now, warnings: [...new Set([...before.warnings, event.message])] };
    case "done":
      return { ...now, status: "completed" };
    case "failed":
      return { ...now, status: "failed", message: event.message, nodes: halted(before.nodes) };
    case "cancelled":
      return { ...now, status: "cancelled", nodes: halted(before.nodes) };
    default:
      return now;
  }
}

/** Marks the running nodes of an interrupted run as failed. */
export function halted(nodes: Run["nodes"]): Run["nodes"] {
  return Object.fromEntries(
    Object.entries(nodes).map((
      [id, state],
    ) => [id, state.status === "running" ? { ...state, status: "failed" } : state]),
  );
}

function afterStep({ job, nodes }: Run, event: StepEvent): NodeState {
  const { step, steps, elapsedMs, images } = event;
  const before = nodes[event.node];
  const pace = before?.pace ?? { step, ms: elapsedMs };
  const picture = images > 1 ? pictureSteps(job, event) : undefined;
  const perStep = (elapsedMs - pace.ms) / (step - pace.step);
  const leftMs = step - pace.step >= 2 ? perStep * (steps - step) : undefined;
  return { status: "running", step, steps, picture, pace, leftMs };
}

/** Returns the progress of the picture that a step belongs to. Pictures are denoised one after another. */
function pictureSteps(job: Job, { node, image, images, step, steps }: StepEvent): PictureSteps {
  const all = steps / images;
  const nodes = readGraph(job.graph)?.nodes ?? {};
  const begin = nodes[String(nodes[node]?.inputs["checkpoint"]).replace(/\.[^.]*$/, "")];
  // If a run resumes from a step, all pictures have already taken the steps before it.
  const taken = Number(begin?.parameters["stopAfter"] ?? 0);
  return { image, images, step: step - (images - image - 1) * taken - image * all, steps: all };
}
