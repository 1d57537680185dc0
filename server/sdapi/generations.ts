/**
 * The jobs of clients of AUTOMATIC1111's web UI: how far the present one is, and its interruption. The web UI does one
 * thing at a time, so its clients ask for the progress of whatever that is.
 *
 * @module
 */

import { z } from "zod";
import type { Jobs } from "../jobs/jobs.ts";
import { isOver, type Job } from "../jobs/job.ts";
import { now } from "../jobs/job_journal.ts";

const previewSchema = z.object({ type: z.literal("preview"), png: z.string() });

/** How far the present job is. */
export interface GenerationProgress {
  /** The share that is done, from 0 to 1; 0 where there is none. */
  readonly share: number;
  /** Seconds that it may still take. */
  readonly seconds: number;
  /** The present job. */
  readonly job: Job | undefined;
  /** Jobs that run and wait. */
  readonly count: number;
  /** Steps that are done, and all of them. */
  readonly step: number;
  readonly steps: number;
  /** What it has come to, as a PNG file in base64. */
  readonly preview: string | undefined;
}

/** The stage whose steps are told, and its share of the work. */
const DENOISE = "denoise";
const BEFORE = 0.01;

/** Follows the jobs. */
export class Generations {
  #jobs: Jobs;
  /** The jobs in the order in which they came, with what each has come to. */
  #present = new Map<string, string | undefined>();

  /** @param jobs All jobs of the server. */
  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  /**
   * Waits for the end of a job, and notes what it has come to meanwhile.
   *
   * @param id The job.
   * @param signal Ends the wait: the client has gone.
   * @returns The job.
   */
  async ended(id: string, signal: AbortSignal): Promise<Job | undefined> {
    this.#present.set(id, undefined);
    try {
      for await (const { type, data } of this.#jobs.follow(id, 0, signal, true)) {
        if (type !== "preview") continue;
        const preview = previewSchema.safeParse(JSON.parse(data)).data;
        if (preview) this.#present.set(id, preview.png);
      }
      return this.#jobs.get(id);
    } finally {
      this.#present.delete(id);
    }
  }

  /** How far the present job is: the one that runs, else the first that waits. */
  progress(): GenerationProgress {
    const jobs = [...this.#present.keys()].map((id) => this.#jobs.get(id)).filter((job) => job !== undefined)
      .filter(({ status }) => !isOver(status));
    const job = jobs.find(({ status }) => status === "running") ?? jobs[0];
    if (!job) return { share: 0, seconds: 0, job, count: 0, step: 0, steps: 0, preview: undefined };
    const found = this.#jobs.progress(job.id);
    const { step, steps } = found?.stage === DENOISE ? found : { step: 0, steps: 0 };
    const share = Math.min(BEFORE + (steps > 0 ? (1 - BEFORE) * step / steps : 0), 1);
    const elapsed = job.started === null ? 0 : Math.max(now() - job.started, 0);
    const seconds = elapsed * (1 - share) / share;
    return { share, seconds, job, count: jobs.length, step, steps, preview: this.#present.get(job.id) };
  }

  /** Cancels the present job. */
  interrupt(): void {
    const { job } = this.progress();
    if (job) this.#jobs.cancel(job.id);
  }
}
