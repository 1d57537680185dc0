/**
 * Schemas of job orders, and of the replies that describe jobs.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { graphDocumentSchema } from "../../graph/document.ts";
import { pictureRequestSchema } from "../../graph/picture_request.ts";
import { stepIntervalSchema } from "../../stages/denoise/step_interval.ts";
import { promptSchema } from "../../text/prompt.ts";
import { jobSchema, jobStatusSchema } from "../jobs/job.ts";
import { keepAliveField } from "./image_request.ts";

/**
 * The picture request of the command line. Its one recursive field is described by hand, because the OpenAPI
 * generator cannot describe it.
 */
const requestSchema = pictureRequestSchema.extend({
  model: pictureRequestSchema.shape.model.nullish().openapi({
    description: "A model from `GET /v1/models` (default: the first).",
  }),
  image: sha256Schema.optional().openapi({
    description: "The id of a picture to start from, from `POST /v1/pictures`.",
  }),
  mask: sha256Schema.optional().openapi({
    description: "The id of a picture whose white area marks the part of `image` to repaint.",
  }),
  controlImage: sha256Schema.optional().openapi({
    description: "The id of the control picture for `controlnet`.",
  }),
  schedulerOptions: pictureRequestSchema.shape.schedulerOptions.unwrap().optional().openapi({
    type: "object",
    additionalProperties: true,
  }),
}).openapi("PictureRequest");

/** Schema of a request to resume from an earlier artifact with changed settings. */
export const resumeRequestSchema = z.strictObject({
  artifact: sha256Schema.describe("The id of a picture, latents, embeddings or a snapshot."),
  fromStep: z.int().min(1).optional().openapi({
    description: "Number of steps to keep. The changes apply to the remaining steps.",
  }),
  stepsMore: z.int().min(1).optional().openapi({
    description: "Number of steps after which the job stops with another snapshot.",
  }),
  guidanceScale: z.number().optional(),
  guidanceInterval: stepIntervalSchema.optional().openapi({
    description: "The range of all steps with guidance. It applies to the remaining steps.",
  }),
  prompts: z.array(promptSchema).min(1).optional(),
  negativePrompt: pictureRequestSchema.shape.negativePrompt,
  seeds: pictureRequestSchema.shape.seeds.unwrap().optional().openapi({
    description: "New seeds: one for the first picture, or one per picture.",
  }),
  image: z.int().nonnegative().optional().openapi({
    description: "The number of the picture to continue from, counted from 0 (default: all pictures).",
  }),
  vae: z.string().optional().openapi({ description: "The name of another autoencoder for decoding." }),
  decode: z.boolean().default(true).openapi({ description: "Whether to decode the latents." }),
}).openapi("ResumeRequest");

/** A request to resume from an earlier artifact. */
export type ResumeRequest = z.infer<typeof resumeRequestSchema>;

/** Schema of an order: a picture request, a whole graph, or an artifact to resume from. */
export const jobRequestSchema = z.strictObject({
  request: requestSchema.optional().openapi({ description: "A picture request." }),
  graph: graphDocumentSchema.optional().openapi({ description: "A graph to run instead of a request." }),
  resume: resumeRequestSchema.optional().openapi({
    description: "An artifact to continue from instead of a request.",
  }),
  previews: z.boolean().default(true).openapi({
    description: "Whether events contain a preview of every denoising step.",
  }),
  keep_alive: keepAliveField.optional(),
  webhook: z.strictObject({
    url: z.url({ protocol: /^https?$/ }).max(2000).openapi({
      description: "The URL of the receiver, on an allowed host.",
    }),
  }).optional().openapi({
    description: "Where to send a message when the job ends. It is signed according to Standard Webhooks.",
  }),
  deadline: z.number().positive().optional().openapi({
    description:
      "Seconds within which the job must finish. Otherwise it fails, whether it is queued or running.",
  }),
}).refine(
  (order) => [order.request, order.graph, order.resume].filter((way) => way !== undefined).length === 1,
  {
    message: "Give exactly one of request, graph and resume",
  },
).openapi("JobRequest");

/** Schema of a job in replies. */
export const jobReplySchema = jobSchema.extend({
  queue_position: z.int().nullable().openapi({
    description: "Number of runs ahead of this one; null unless the job is queued.",
  }),
  progress: z.object({ node: z.string(), stage: z.string(), step: z.int(), steps: z.int() }).nullable(),
  images: z.array(
    z.object({
      url: z.string(),
      artifact: z.string(),
      image: z.int(),
      width: z.int(),
      height: z.int(),
      seed: z.string().nullable(),
    }),
  ).openapi({ description: "The pictures with the links to their files." }),
  events_url: z.string(),
}).openapi("JobReply");

/** A job in replies. */
export type JobReply = z.infer<typeof jobReplySchema>;

/** Schema of the queue, i.e. the unfinished jobs. */
export const queueReplySchema = z.object({
  jobs: z.array(
    jobReplySchema.pick({ id: true, status: true, started: true, queue_position: true, progress: true }),
  ).openapi({ description: "The running jobs, then the waiting ones in the order of the queue." }),
  ended: z.int().openapi({
    description: "Number of jobs that ended or were removed since the server started.",
  }),
}).openapi("Queue");

/** The queue, i.e. the unfinished jobs. */
export type QueueReply = z.infer<typeof queueReplySchema>;

/** Schema of a page of jobs. */
export const jobListSchema = z.object({
  object: z.literal("list"),
  data: z.array(jobReplySchema),
  has_more: z.boolean(),
}).openapi("JobList");

/** Maximum length of a search query, in UTF-16 units. */
const LONGEST_QUERY = 200;

/** Schema of a list query. */
export const jobQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).default(20),
  after: z.string().max(64).optional().openapi({
    description: "The id of the last job on the previous page.",
  }),
  status: jobStatusSchema.optional(),
  starred: z.enum(["true", "false"]).optional().openapi({
    description: "`true` for starred jobs only, `false` for the others only.",
  }),
  q: z.string().max(LONGEST_QUERY).optional().openapi({
    description:
      "Words to find in the prompts, the negative prompts, the seeds or the names of the job's model, " +
      "scheduler or adapters. A job must contain all of them; case does not matter.",
  }),
});

/** Schema of a change to a job. */
export const jobChangeSchema = z.strictObject({
  starred: z.boolean().openapi({
    description:
      "Whether the job is starred. The server keeps a starred job and its artifacts until the job is removed.",
  }),
}).openapi("JobChange");
