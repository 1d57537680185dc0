/// <reference lib="dom" />
/**
 * Orders, follows and cancels runs.
 *
 * @module
 */

import {
  change,
  chooseModel,
  fault,
  form,
  hasOlder,
  history,
  needsKey,
  type NodeState,
  offered,
  type Run,
  run,
} from "./state.ts";
import { cancelJob, capabilities, finishedJobs, followJob, getJob, orderJob, ServerError } from "./server.ts";
import type { Graph, Job, Order, RunEvent } from "./types.ts";

const CURRENT_KEY = "pixstage-job";

let stopFollowing = (): void => {};

/** Begins: asks what there is, and looks for a run that was left. */
export async function begin(): Promise<void> {
  await attempt(async () => {
    offered.value = await capabilities();
    const { models } = offered.value;
    const isKnown = models.some(({ id }) => id === form.value.model);
    if (!isKnown && models[0]) chooseModel(models[0].id);
    await loadHistory();
    const left = sessionStorage.getItem(CURRENT_KEY);
    const job = left ? await getJob(left).catch(() => undefined) : undefined;
    if (job) show(job);
    else if (history.value[0]) show(history.value[0]);
  });
}

/** Orders what the form asks for. */
export async function generate(): Promise<void> {
  const { prompt, negativePrompt, model, width, height, steps, guidance, scheduler, seed, count } =
    form.value;
  await order({
    request: {
      model,
      prompts: [prompt],
      ...(negativePrompt ? { negativePrompt } : {}),
      width,
      height,
      steps,
      guidanceScale: guidance,
      ...(scheduler ? { scheduler } : {}),
      seeds: [seed === "" ? randomSeed() : seed],
      imagesPerPrompt: count,
    },
  });
}

/** Orders pictures, and shows what comes of it. */
export async function order(body: Order): Promise<void> {
  await attempt(async () => {
    const job = await orderJob(body);
    sessionStorage.setItem(CURRENT_KEY, job.id);
    show(job);
  });
}

/** Cancels the run that is shown. */
export async function cancel(): Promise<void> {
  const { value } = run;
  if (value) await attempt(() => cancelJob(value.job.id));
}

/** Shows a job: as it is if it has ended, as it goes otherwise. */
export function show(job: Job): void {
  stopFollowing();
  fault.value = "";
  const isOver = job.status !== "queued" && job.status !== "running";
  const nodes = Object.keys((job.graph as unknown as Graph).nodes);
  run.value = {
    job,
    status: job.status,
    nodes: Object.fromEntries(nodes.map((id) => [id, { status: isOver ? "done" : "waiting" } as NodeState])),
    previews: {},
    warnings: job.warnings,
    elapsedMs: isOver ? ((job.completed ?? 0) - (job.started ?? job.completed ?? 0)) * 1000 : 0,
    ...(job.error ? { message: job.error.message } : {}),
  };
  stopFollowing = followJob(job.id, (event) => {
    if (run.value?.job.id === job.id) run.value = after(run.value, event);
    if (!isOver && isLast(event)) finish(job.id);
  });
}

/** The picture of a job is there: what it came from is shown no more. */
export function forgetPreview(id: string, image: number): void {
  const { value } = run;
  if (value?.job.id !== id || !value.previews[image]) return;
  const { [image]: _done, ...previews } = value.previews;
  run.value = { ...value, previews };
}

/** Loads the newest finished jobs, or older ones behind those that are there. */
export async function loadHistory(older = false): Promise<void> {
  const page = await finishedJobs(older ? history.value.at(-1)?.id : undefined);
  const withPictures = page.data.filter(({ images }) => images.length > 0);
  history.value = older ? [...history.value, ...withPictures] : withPictures;
  hasOlder.value = page.has_more;
}

/** A seed by chance. */
export function randomSeed(): string {
  return String(crypto.getRandomValues(new Uint32Array(1))[0]);
}

/** Fills the form with what a job was made from. */
export function reuse({ request }: Job): void {
  if (!request) return;
  const fields = request as Readonly<Record<string, never>>;
  const { model, prompts, negativePrompt = "", width, height, steps, guidanceScale, scheduler = "", seeds } =
    fields;
  chooseModel(model!);
  change({
    prompt: (prompts ?? [""])[0]!,
    negativePrompt,
    scheduler,
    seed: String((seeds ?? [""])[0]),
    ...(width ? { width } : {}),
    ...(height ? { height } : {}),
    ...(steps ? { steps } : {}),
    ...(guidanceScale === undefined ? {} : { guidance: guidanceScale }),
    count: fields["imagesPerPrompt"] ?? 1,
  });
}

async function finish(id: string): Promise<void> {
  await attempt(async () => {
    const job = await getJob(id);
    if (run.value?.job.id === id) run.value = { ...run.value, job, status: job.status };
    if (job.status === "completed") await loadHistory();
  });
}

async function attempt(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ServerError && error.code === "invalid_api_key") needsKey.value = true;
    fault.value = error instanceof Error ? error.message : String(error);
  }
}

function isLast({ type }: RunEvent): boolean {
  return type === "done" || type === "failed" || type === "cancelled";
}

/** A run after an event. */
function after(before: Run, event: RunEvent): Run {
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
    case "stage:resumed":
    case "step":
      return node({ status: "running", step: event.step, steps: event.steps }, event.node);
    case "preview": {
      const { step = 1, steps = 1 } = before.nodes[event.node] ?? {};
      const previews = { ...before.previews, [event.image]: { png: event.png, share: step / steps } };
      return { ...now, previews };
    }
    case "stage:end": {
      const ended = node({ ...before.nodes[event.node], status: "done", ms: event.ms }, event.node);
      if (!event.memory) return ended;
      const { resident, peak = resident } = event.memory;
      return { ...ended, memory: { now: resident, peak: Math.max(peak, before.memory?.peak ?? 0) } };
    }
    case "warning":
      return { ...now, warnings: [...before.warnings, event.message] };
    case "done":
      return { ...now, status: "completed" };
    case "failed":
      return { ...now, status: "failed", message: event.message, nodes: stopped(before.nodes) };
    case "cancelled":
      return { ...now, status: "cancelled", nodes: stopped(before.nodes) };
    default:
      return now;
  }
}

/** Nodes of a run that ended before its time. */
function stopped(nodes: Run["nodes"]): Run["nodes"] {
  return Object.fromEntries(
    Object.entries(nodes).map((
      [id, state],
    ) => [id, state.status === "running" ? { ...state, status: "failed" } : state]),
  );
}
