/// <reference lib="dom" />
/**
 * Jobs that have ended: loaded, searched, removed, ordered again.
 *
 * @module
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { attempt } from "./attempt.ts";
import { order, show, showNothing } from "./run.ts";
import { listJobs, removeJob } from "./server.ts";
import { settingsOfPicture } from "./settings.ts";
import { hasOlder, history, run, stopped } from "./state.ts";
import type { Job } from "./types.ts";

const PAGE = 24;
const LARGEST_PAGE = 100;
/** Failed and cancelled jobs that are listed, of each. */
const STOPPED = 10;

/** What the history is searched for. */
export const search: Signal<string> = signal("");

/** The jobs of the history that match the search. */
export const found: ReadonlySignal<readonly Job[]> = computed(() => {
  const words = search.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return history.value;
  return history.value.filter((job) => {
    const text = searchable(job);
    return words.every((word) => text.includes(word));
  });
});

/** Loads the newest jobs that have ended. */
export async function loadEnded(): Promise<void> {
  const [completed, failed, cancelled] = await Promise.all([
    listJobs({
      status: "completed",
      limit: Math.min(Math.max(PAGE, history.value.length), LARGEST_PAGE),
    }),
    listJobs({ status: "failed", limit: STOPPED }),
    listJobs({ status: "cancelled", limit: STOPPED }),
  ]);
  // Pages that were loaded before stay behind the newest one.
  const last = completed.data.at(-1);
  const place = history.value.findIndex(({ id }) => id === last?.id);
  const older = completed.has_more && place >= 0 ? history.value.slice(place + 1) : [];
  history.value = [...withPictures(completed.data), ...older];
  if (older.length === 0) hasOlder.value = completed.has_more;
  stopped.value = [...failed.data, ...cancelled.data].sort((a, b) => b.created - a.created);
}

/** Loads a page of older ones. */
export async function loadOlder(limit: number = PAGE): Promise<void> {
  const page = await listJobs({ status: "completed", limit, after: history.value.at(-1)?.id });
  history.value = [...history.value, ...withPictures(page.data)];
  hasOlder.value = page.has_more;
}

/** Searches all jobs of the server. */
export async function searchFor(text: string): Promise<void> {
  search.value = text;
  await attempt(async () => {
    while (search.value !== "" && hasOlder.value) await loadOlder(LARGEST_PAGE);
  });
}

/** Removes a job that has ended. */
export async function remove({ id }: Job): Promise<void> {
  await attempt(async () => {
    await removeJob(id);
    history.value = history.value.filter((job) => job.id !== id);
    stopped.value = stopped.value.filter((job) => job.id !== id);
    if (run.value?.job.id !== id) return;
    const [next] = history.value;
    if (next) show(next);
    else showNothing();
  });
}

/** Orders a failed or cancelled job again, and removes the old one. */
export async function retry(job: Job): Promise<void> {
  const { request, graph } = job;
  if (!await order(request ? { request } : { graph })) return;
  await attempt(() => removeJob(job.id));
  stopped.value = stopped.value.filter(({ id }) => id !== job.id);
}

function withPictures(jobs: readonly Job[]): Job[] {
  return jobs.filter(({ images }) => images.length > 0);
}

const texts = new WeakMap<Job, string>();

function searchable(job: Job): string {
  let text = texts.get(job);
  if (text === undefined) {
    const { prompt, negativePrompt, model, scheduler } = settingsOfPicture({ job, index: 0 }) ?? {};
    const seeds = job.images.map(({ seed }) => seed);
    text = [prompt, negativePrompt, model, scheduler, ...seeds].join("\n").toLowerCase();
    texts.set(job, text);
  }
  return text;
}
