/// <reference lib="dom" />
/**
 * Finished jobs: loads, searches, stars, removes and retries them.
 *
 * @module
 */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { attempt } from "./attempt.ts";
import { order, show, showNothing } from "./run.ts";
import { listJobs, removeJob, starJob } from "./server.ts";
import { hasOlder, history, run, stopped } from "./state.ts";
import type { Job } from "./types.ts";

const PAGE = 24;
const LARGEST_PAGE = 100;
/** Milliseconds without typing after which the search starts. */
const TYPING_MS = 200;
/** Maximum number of failed jobs and of cancelled jobs to list. */
const STOPPED = 10;

/** A filter of the history. */
interface Filter {
  /** Words that a job's text must contain. */
  readonly words: string;
  /** Whether only starred jobs are shown. */
  readonly isStarred: boolean;
}

/** The current filter. */
export const filter: Signal<Filter> = signal<Filter>({ words: "", isStarred: false });

/** Whether the filter can exclude jobs. */
export const isFiltered: ReadonlySignal<boolean> = computed(() =>
  filter.value.words.trim() !== "" || filter.value.isStarred
);

/** The jobs that match the filter, from the server. */
const matching: Signal<{ readonly jobs: readonly Job[]; readonly hasOlder: boolean }> = signal({
  jobs: [],
  hasOlder: false,
});

/** The jobs shown in the history. */
export const found: ReadonlySignal<readonly Job[]> = computed(() =>
  isFiltered.value ? matching.value.jobs : history.value
);

/** Whether there are older jobs than those shown. */
export const hasMore: ReadonlySignal<boolean> = computed(() =>
  isFiltered.value ? matching.value.hasOlder : hasOlder.value
);

/** Loads the newest finished jobs. */
export async function loadEnded(): Promise<void> {
  const [completed, failed, cancelled] = await Promise.all([
    listJobs({
      status: "completed",
      limit: Math.min(Math.max(PAGE, history.value.length), LARGEST_PAGE),
    }),
    listJobs({ status: "failed", limit: STOPPED }),
    listJobs({ status: "cancelled", limit: STOPPED }),
  ]);
  // Pages loaded earlier stay behind the newest one.
  const last = completed.data.at(-1);
  const place = history.value.findIndex(({ id }) => id === last?.id);
  const older = completed.has_more && place >= 0 ? history.value.slice(place + 1) : [];
  history.value = [...withPictures(completed.data), ...older];
  if (older.length === 0) hasOlder.value = completed.has_more;
  stopped.value = [...failed.data, ...cancelled.data].sort((a, b) => b.created - a.created);
  if (isFiltered.value) await findMore([]);
}

/** Loads a page of older jobs. */
export async function loadOlder(): Promise<void> {
  if (isFiltered.value) return await findMore(matching.value.jobs);
  const page = await listJobs({ status: "completed", limit: PAGE, after: history.value.at(-1)?.id });
  history.value = [...history.value, ...withPictures(page.data)];
  hasOlder.value = page.has_more;
}

/** Changes the filter, and asks the server, which has the whole history. */
export async function narrow(changes: Partial<Filter>): Promise<void> {
  filter.value = { ...filter.value, ...changes };
  const asked = filter.value;
  // Wait for the user to stop typing.
  await new Promise((resolve) => setTimeout(resolve, TYPING_MS));
  if (filter.value === asked && isFiltered.value) await attempt(() => findMore([]));
}

/** Loads another page of matching jobs. Ignores an answer to an outdated filter. */
async function findMore(known: readonly Job[]): Promise<void> {
  const { words, isStarred } = filter.value;
  const asked = filter.value;
  const page = await listJobs({
    status: "completed",
    limit: PAGE,
    after: known.at(-1)?.id,
    q: words.trim() || undefined,
    starred: isStarred || undefined,
  });
  if (filter.value !== asked) return;
  matching.value = { jobs: [...known, ...withPictures(page.data)], hasOlder: page.has_more };
}

/** Adds or removes the star of a job. */
export async function star({ id, starred }: Job): Promise<void> {
  await attempt(async () => {
    const changed = await starJob(id, !starred);
    const replaced = (jobs: readonly Job[]): Job[] => jobs.map((job) => job.id === id ? changed : job);
    batch(() => {
      history.value = replaced(history.value);
      matching.value = { ...matching.value, jobs: replaced(matching.value.jobs) };
      if (run.value?.job.id === id) run.value = { ...run.value, job: changed };
    });
  });
}

/** Removes a finished job. */
export async function remove({ id }: Job): Promise<void> {
  await attempt(async () => {
    await removeJob(id);
    history.value = history.value.filter((job) => job.id !== id);
    matching.value = { ...matching.value, jobs: matching.value.jobs.filter((job) => job.id !== id) };
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
