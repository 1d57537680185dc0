/// <reference lib="dom" />
/**
 * Orders, follows and cancels runs.
 *
 * @module
 */

import { batch } from "@preact/signals";
import { attempt, noteRefusal } from "./attempt.ts";
import { requestOf } from "./form_request.ts";
import { after, EVENT_TYPES, halted, isLast, isOver, runOf } from "./run_events.ts";
import { cancelJob, getJob, orderJob, ServerError } from "./server.ts";
import { chosenImage, form, isOrdering, run } from "./state.ts";
import { follow } from "./streams.ts";
import type { Job, Order, RunEvent } from "./types.ts";

const SHOWN_KEY = "pixstage-job";

let stopFollowing = (): void => {};

/** Returns the id of the job that the page showed before a reload. */
export function shownBefore(): string | null {
  return sessionStorage.getItem(SHOWN_KEY);
}

/** Orders the form's pictures. */
export async function generate(): Promise<void> {
  const { seed } = form.value;
  await order({ request: requestOf(form.value, seed === "" ? randomSeed() : seed) });
}

/** Orders pictures and shows the run. Returns whether the server accepted the order. */
export async function order(body: Order): Promise<boolean> {
  isOrdering.value = true;
  const isTaken = await attempt(async () => show(await orderJob(body)));
  isOrdering.value = false;
  return isTaken;
}

/** Cancels a job, unless it has already ended. */
export async function cancel(id: string): Promise<void> {
  await attempt(() =>
    cancelJob(id).catch((error) => {
      if (!(error instanceof ServerError) || error.code !== "job_over") throw error;
    })
  );
}

/** Shows a job. If it is unfinished, follows its progress. */
export function show(job: Job, image = 0): void {
  stopFollowing();
  sessionStorage.setItem(SHOWN_KEY, job.id);
  batch(() => {
    run.value = runOf(job);
    chosenImage.value = image;
  });
  const wasOver = isOver(job);
  stopFollowing = follow(`v1/jobs/${job.id}/events`, {
    types: EVENT_TYPES,
    onEvent(data) {
      const event: RunEvent = JSON.parse(data);
      if (run.value?.job.id === job.id) run.value = after(run.value, event);
      if (!isLast(event)) return;
      stopFollowing();
      if (!wasOver) refresh(job.id);
    },
    onLost() {},
    onRefused: (error) => giveUp(job.id, error),
    look: async () => !isOver(await refresh(job.id)),
  });
}

/** Clears the shown run. */
export function showNothing(): void {
  stopFollowing();
  sessionStorage.removeItem(SHOWN_KEY);
  run.value = undefined;
}

/** Removes a picture's preview once the picture is loaded. */
export function forgetPreview(id: string, image: number): void {
  const { value } = run;
  if (value?.job.id !== id || !value.previews[image]) return;
  const { [image]: _done, ...previews } = value.previews;
  run.value = { ...value, previews };
}

/** Returns a random seed. */
export function randomSeed(): string {
  return String(crypto.getRandomValues(new Uint32Array(1))[0]);
}

/** Fetches the current state of the shown job. */
async function refresh(id: string): Promise<Job> {
  const job = await getJob(id);
  const { value } = run;
  if (value?.job.id === id) {
    const nodes = isOver(job) ? halted(value.nodes) : value.nodes;
    run.value = { ...value, job, status: job.status, nodes, message: job.error?.message };
  }
  return job;
}

/** Ends a run whose events the server refuses to send. */
function giveUp(id: string, error: ServerError): void {
  noteRefusal(error);
  const { value } = run;
  if (value?.job.id !== id) return;
  if (error.code !== "job_not_found") {
    run.value = { ...value, message: error.message };
    return;
  }
  sessionStorage.removeItem(SHOWN_KEY);
  const message = "The server no longer has this job because its store was removed or replaced. " +
    "Generate the picture again.";
  run.value = isOver(value)
    ? { ...value, message }
    : { ...value, status: "failed", nodes: halted(value.nodes), message };
}
