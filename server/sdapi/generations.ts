/**
 * Jobs of clients of AUTOMATIC1111's web UI: the progress of the current one, and its interruption. The web
 * UI does one task at a time, so its clients ask for progress without naming a job.
 *
 * @module
 */

import { z } from "zod";
import type { Jobs } from "../jobs/jobs.ts";
import { isOver, type Job } from "../jobs/job.ts";
import { now } from "../jobs/job_journal.ts";

const previewSchema = z.object({ type: z.literal("preview"), png: z.string() });

/** Progress of the current job. */
export interface GenerationProgress {
  /** The share done, from 0 to 1; 0 if there is no job. */
  readonly share: number;
  /** Estimated seconds that it will still take. */
  readonly seconds: number;
  /** The current job. */
  readonly job: Job | undefined;
  /** Number of running and waiting jobs. */
  readonly count: number;
  /** Steps done, and total steps. */
  readonly step: number;
  readonly steps: number;
  /** The job's latest preview, as a PNG file in base64. */
  readonly preview: string | undefined;
}

/** The stage whose steps are reported, and the share of the work that comes before it. */
const DENOISE = "denoise";
const BEFORE = 0.01;

/** Follows the jobs of the web UI's clients. */
export class Generations {
  #jobs: Jobs;
  /** The jobs in the order of their arrival, with the latest preview of each. */
  #present = new Map<string, string | undefined>();

  /** @param jobs All jobs of the server. */
  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  /**
   * Waits for the end of a job, and records its previews until then.
   *
   * @param id The job.
   * @param signal Ends the wait when the client disconnects.
   */
  async ended(id: string, signal: AbortSignal): Promise<void> {
    this.#present.set(id, undefined);
    try {
      for await (const { type, data } of this.#jobs.follow(id, 0, signal, true)) {
        if (type !== "preview") continue;
        const preview = previewSchema.safeParse(JSON.parse(data)).data;
        if (preview) this.#present.set(id, preview.png);
      }
    } finally {
      this.#present.delete(id);
    }
  }

  /** Returns the progress of the current job, i.e. the running one, else the first waiting one. */
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

  /** Cancels the current job. */
  interrupt(): void {
    const { job } = this.progress();
    if (job) this.#jobs.cancel(job.id);
  }
}
