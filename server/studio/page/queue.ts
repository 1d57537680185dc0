/// <reference lib="dom" />
/**
 * Follows the server's queue, and thereby detects whether the server can be reached.
 *
 * @module
 */

import { effect } from "@preact/signals";
import { attempt, noteRefusal } from "./attempt.ts";
import { loadEnded } from "./history.ts";
import { show, shownBefore } from "./run.ts";
import { capabilities, getJob } from "./server.ts";
import {
  chooseModel,
  fault,
  form,
  history,
  isLost,
  needsKey,
  notice,
  offered,
  queue,
  queuedJobs,
} from "./state.ts";
import { follow } from "./streams.ts";
import type { Job, QueueReply } from "./types.ts";

let ended: number | undefined;
let stopFollowing = (): void => {};

/** Starts the page: loads the capabilities, restores the run shown before, and follows the queue. */
export async function begin(): Promise<void> {
  stopFollowing();
  await attempt(async () => {
    await load();
    const left = shownBefore();
    const job = left === null ? undefined : await getJob(left).catch(() => undefined);
    const shown = job ?? history.value[0];
    if (shown) show(shown);
  });
  if (!needsKey.value) followQueue();
}

function followQueue(): void {
  stopFollowing();
  stopFollowing = follow("v1/jobs/events", {
    types: ["queue"],
    onEvent: (data) => {
      take(JSON.parse(data));
    },
    onOpen: recover,
    onLost: () => {
      isLost.value = true;
    },
    onRefused: (error) => {
      noteRefusal(error);
      fault.value = error.message;
    },
    look: async () => {
      await capabilities();
      return true;
    },
  });
}

// Another request may detect a lost server before the stream breaks. A new stream detects when the server is
// back.
effect(() => {
  if (isLost.value) followQueue();
});

async function load(): Promise<void> {
  offered.value = await capabilities();
  const { models } = offered.value;
  const isKnown = models.some(({ id }) => id === form.value.model);
  if (!isKnown && models[0]) chooseModel(models[0].id);
  await loadEnded();
}

/** Handles an open connection. If it was lost before, the server may have been restarted or replaced. */
async function recover(): Promise<void> {
  if (!isLost.value) return;
  const wasRefused = fault.value !== "";
  isLost.value = false;
  const isBack = await attempt(load);
  if (isBack && wasRefused) {
    notice.value = "The server is back, but it did not receive your last request: send it again.";
  }
}

async function take(state: QueueReply): Promise<void> {
  queue.value = state.jobs;
  const isNews = ended !== undefined && ended !== state.ended;
  ended = state.ended;
  const known = queuedJobs.value;
  // A job that ends during this request is no longer in the queue.
  const jobs = await Promise.all(
    state.jobs.map(({ id }) => known.get(id) ?? getJob(id).catch(() => undefined)),
  );
  const found = jobs.filter((job): job is Job => job !== undefined);
  queuedJobs.value = new Map(found.map((job) => [job.id, job]));
  if (isNews) await loadEnded().catch(() => {});
}
