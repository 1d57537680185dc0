import { isOver, type Job, type JobEvent } from "./job.ts";
import type { JobTables } from "./job_tables.ts";

/** Changes of one job that the file lacks. */
interface UnwrittenJob {
  /** The job, if it has changed. */
  job?: Job;
  /** New events. */
  events: JobEvent[];
  /** Whether the previews in the file are obsolete. */
  forgetsPreviews: boolean;
}

/**
 * Changes of jobs that could not be written, e.g. because the disk is full. Meanwhile the server accepts no
 * jobs, so the number of unfinished jobs bounds the number of changes.
 */
export class UnwrittenChanges {
  #jobs = new Map<string, UnwrittenJob>();

  /** Whether there are no changes. */
  get isEmpty(): boolean {
    return this.#jobs.size === 0;
  }

  /** The jobs that have changed, by id. */
  get changed(): ReadonlyMap<string, Job> {
    return new Map(
      [...this.#jobs].flatMap(([id, { job }]) => job ? [[id, job] as const] : []),
    );
  }

  /** Returns a job if it has changed. */
  job(id: string): Job | undefined {
    return this.#jobs.get(id)?.job;
  }

  /** Returns the new events of a job after a number, in order. */
  events(id: string, after: number): JobEvent[] {
    return this.#jobs.get(id)?.events.filter(({ number }) => number > after) ?? [];
  }

  /** Keeps the state of a job. */
  update(job: Job): void {
    this.#of(job.id).job = job;
  }

  /** Keeps an event. A preview replaces the one before it. */
  addEvent(id: string, event: JobEvent): void {
    if (event.type === "preview") this.forgetPreviews(id);
    this.#of(id).events.push(event);
  }

  /** Removes the previews of a job. */
  forgetPreviews(id: string): void {
    const unwritten = this.#of(id);
    unwritten.events = unwritten.events.filter(({ type }) => type !== "preview");
    unwritten.forgetsPreviews = true;
  }

  /** Writes all changes, or throws and keeps them. */
  write(tables: JobTables): void {
    tables.transaction(() => {
      for (const [id, { job, events, forgetsPreviews }] of this.#jobs) {
        if (forgetsPreviews || job && isOver(job.status)) tables.forgetPreviews(id);
        for (const event of events) tables.addEvent(id, event);
        if (job) tables.update(job);
      }
    });
    this.#jobs.clear();
  }

  #of(id: string): UnwrittenJob {
    const unwritten = this.#jobs.get(id) ?? { events: [], forgetsPreviews: false };
    this.#jobs.set(id, unwritten);
    return unwritten;
  }
}
