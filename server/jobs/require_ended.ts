import { ApiError } from "../api_error.ts";
import type { Job } from "./job.ts";
import type { Jobs } from "./jobs.ts";

/**
 * Returns the job of a request that has stopped waiting for it. If it has not ended, the client has
 * disconnected or the server is shutting down. Such a job is cancelled, because a later server would run it
 * for nobody.
 *
 * @param jobs All jobs.
 * @param id The job.
 * @throws {ApiError} `interrupted` if it has not ended.
 */
export function requireEnded(jobs: Pick<Jobs, "get" | "cancel">, id: string): Job {
  const job = jobs.get(id);
  if (job && job.completed !== null) return job;
  jobs.cancel(id);
  throw new ApiError("interrupted", "The request was interrupted");
}
