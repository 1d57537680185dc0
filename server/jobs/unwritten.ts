import { isOver, type Job, type JobEvent } from "./job.ts";
import type { JobTables } from "./job_tables.ts";

/** What of one job is not on the disk. */
interface UnwrittenJob {
  /** What has become of it, where that has changed. */
  job?: Job;
  /** Its events. */
  events: JobEvent[];
  /** Whether the previews that are on the disk no longer count. */
  forgetsPreviews: boolean;
}

/**
 * What could not be written because the disk is full, held in memory until it can. No new job is taken meanwhile, so it
 * grows with the jobs in flight alone.
 */
export class Unwritten {
  #jobs = new Map<string, UnwrittenJob>();

  /** Whether there is nothing to be written. */
  get isEmpty(): boolean {
    return this.#jobs.size === 0;
  }

  /** The jobs that have changed, by id. */
  get changed(): ReadonlyMap<string, Job> {
    return new Map(
      [...this.#jobs].flatMap(([id, { job }]) => job ? [[id, job] as const] : []),
    );
  }

  /** What has become of a job, if that has changed. */
  job(id: string): Job | undefined {
    return this.#jobs.get(id)?.job;
  }

  /** Events of a job after a number, in order. */
  events(id: string, after: number): JobEvent[] {
    return this.#jobs.get(id)?.events.filter(({ number }) => number > after) ?? [];
  }

  /** Holds what has become of a job. */
  update(job: Job): void {
    this.#of(job.id).job = job;
  }

  /** Holds an event. A preview takes the place of the one before it. */
  addEvent(id: string, event: JobEvent): void {
    if (event.type === "preview") this.forgetPreviews(id);
    this.#of(id).events.push(event);
  }

  /** Forgets the previews of a job. */
  forgetPreviews(id: string): void {
    const unwritten = this.#of(id);
    unwritten.events = unwritten.events.filter(({ type }) => type !== "preview");
    unwritten.forgetsPreviews = true;
  }

  /** Writes all of it, or throws and holds it still. */
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
