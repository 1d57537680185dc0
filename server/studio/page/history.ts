/// <reference lib="dom" />
/**
 * Jobs that have ended: loaded, searched, starred, removed, ordered again.
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
/** Milliseconds of silence after which what was typed is searched for. */
const TYPING_MS = 200;
/** Failed and cancelled jobs that are listed, of each. */
const STOPPED = 10;

/** What the history is narrowed to. */
interface Filter {
  /** Words that all stand in a job's texts. */
  readonly words: string;
  /** Whether starred jobs are shown alone. */
  readonly isStarred: boolean;
}

/** What is shown of the history. */
export const filter: Signal<Filter> = signal<Filter>({ words: "", isStarred: false });

/** Whether anything of the history may be left out. */
export const isFiltered: ReadonlySignal<boolean> = computed(() =>
  filter.value.words.trim() !== "" || filter.value.isStarred
);

/** The jobs that the filter lets through, as the server found them. */
const matching: Signal<{ readonly jobs: readonly Job[]; readonly hasOlder: boolean }> = signal({
  jobs: [],
  hasOlder: false,
});

/** The jobs of the history that are shown. */
export const found: ReadonlySignal<readonly Job[]> = computed(() =>
  isFiltered.value ? matching.value.jobs : history.value
);

/** Whether there are older jobs than those that are shown. */
export const hasMore: ReadonlySignal<boolean> = computed(() =>
  isFiltered.value ? matching.value.hasOlder : hasOlder.value
);

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
  if (isFiltered.value) await findMore([]);
}

/** Loads a page of older ones. */
export async function loadOlder(): Promise<void> {
  if (isFiltered.value) return await findMore(matching.value.jobs);
  const page = await listJobs({ status: "completed", limit: PAGE, after: history.value.at(-1)?.id });
  history.value = [...history.value, ...withPictures(page.data)];
  hasOlder.value = page.has_more;
}

/** Narrows the history, and asks the server, which knows all of it. */
export async function narrow(changes: Partial<Filter>): Promise<void> {
  filter.value = { ...filter.value, ...changes };
  const asked = filter.value;
  // A word is typed letter by letter.
  await new Promise((resolve) => setTimeout(resolve, TYPING_MS));
  if (filter.value === asked && isFiltered.value) await attempt(() => findMore([]));
}

/** Finds a page more of what the filter lets through. An answer that comes late counts no more. */
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

/** Stars a job, or takes its star. */
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

/** Removes a job that has ended. */
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
