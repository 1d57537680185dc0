import type { ServerContext } from "./context.ts";
import type { PublicAddress } from "./public_address.ts";
import type { Job } from "./jobs/job.ts";
import type { JobReply, QueueReply } from "./schemas/job_request.ts";

/**
 * Returns the reply that describes a job.
 *
 * @param job The job.
 * @param server The server's jobs.
 * @param address The address with which the client reached the server. The job's paths start with its prefix.
 */
export function jobReply(
  job: Job,
  { jobs }: Pick<ServerContext, "jobs">,
  { prefix }: Pick<PublicAddress, "prefix">,
): JobReply {
  const images = jobImages(job).map((made) => ({
    url: prefix + picturePath(made.artifact, made.image),
    ...made,
  }));
  return {
    ...job,
    queue_position: jobs.position(job.id),
    progress: jobs.progress(job.id),
    images,
    events_url: `${prefix}/v1/jobs/${job.id}/events`,
  };
}

/** Returns the pictures that a job has made. */
export function jobImages({ artifacts }: Pick<Job, "artifacts">): Omit<JobReply["images"][number], "url">[] {
  return Object.values(artifacts).flatMap(({ id, images = 0, width, height, seeds }) =>
    Array.from({ length: images }, (_, image) => ({
      artifact: id,
      image,
      width: width!,
      height: height!,
      seed: seeds?.[image] ?? null,
    }))
  );
}

/** Returns the path of a picture on the server. */
export function picturePath(artifact: string, image: number): string {
  return `/v1/artifacts/${artifact}/images/${image}`;
}

/** Returns the reply that describes the queue. */
export function queueReply({ jobs }: Pick<ServerContext, "jobs">): QueueReply {
  return {
    jobs: jobs.unfinished().map(({ id, status, started }) => ({
      id,
      status,
      started,
      queue_position: jobs.position(id),
      progress: jobs.progress(id),
    })),
    ended: jobs.endedCount,
  };
}
