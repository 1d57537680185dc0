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
    description: "A model of `GET /v1/models`; the first otherwise.",
  }),
  image: sha256Schema.optional().openapi({
    description: "The id of a picture to begin from, as `POST /v1/pictures` gives it.",
  }),
  mask: sha256Schema.optional().openapi({
    description: "The id of a picture that says what is repainted of `image`: white.",
  }),
  controlImage: sha256Schema.optional().openapi({
    description: "The id of a picture that `controlnet` makes the pictures follow.",
  }),
  schedulerOptions: pictureRequestSchema.shape.schedulerOptions.unwrap().optional().openapi({
    type: "object",
    additionalProperties: true,
  }),
}).openapi("PictureRequest");

/** Schema of a request to resume from an earlier artifact with changed settings. */
export const resumeRequestSchema = z.strictObject({
  artifact: sha256Schema.describe("The id of a picture, latents, embeddings or a state."),
  fromStep: z.int().min(1).optional().openapi({
    description: "The steps that are taken as they were; the others follow the changes.",
  }),
  stepsMore: z.int().min(1).optional().openapi({
    description: "The steps that a state takes before it rests again.",
  }),
  guidanceScale: z.number().optional(),
  guidanceInterval: stepIntervalSchema.optional().openapi({
    description: "The part of all steps that are guided, as far as they come after it.",
  }),
  prompts: z.array(promptSchema).min(1).optional(),
  negativePrompt: pictureRequestSchema.shape.negativePrompt,
  seeds: pictureRequestSchema.shape.seeds.unwrap().optional().openapi({
    description: "Other seeds: one for all pictures, or one for each.",
  }),
  image: z.int().nonnegative().optional().openapi({
    description: "Which picture of several to go on from, from 0; from all of them otherwise.",
  }),
  vae: z.string().optional().openapi({ description: "Another autoencoder to decode with, by its name." }),
  decode: z.boolean().default(true).openapi({ description: "Whether latents are decoded." }),
}).openapi("ResumeRequest");

/** A request to resume from an earlier artifact. */
export type ResumeRequest = z.infer<typeof resumeRequestSchema>;

/** Schema of an order: a picture request, a whole graph, or an artifact to resume from. */
export const jobRequestSchema = z.strictObject({
  request: requestSchema.optional().openapi({ description: "A request for pictures." }),
  graph: graphDocumentSchema.optional().openapi({ description: "A graph, instead of a request." }),
  resume: resumeRequestSchema.optional().openapi({
    description: "An artifact to go on from, instead of a request.",
  }),
  previews: z.boolean().default(true).openapi({
    description: "Whether the events show what denoising has come to at every step.",
  }),
  keep_alive: keepAliveField.optional(),
  webhook: z.strictObject({
    url: z.url({ protocol: /^https?$/ }).max(2000).openapi({
      description: "The receiver, on a host that is allowed.",
    }),
  }).optional().openapi({
    description: "Where to tell that the job has ended, signed as Standard Webhooks has it.",
  }),
  deadline: z.number().positive().optional().openapi({
    description: "Seconds by which the job must have ended; it fails otherwise, whether it waits or runs.",
  }),
}).refine(
  (order) => [order.request, order.graph, order.resume].filter((way) => way !== undefined).length === 1,
  {
    message: "Give a request, a graph or an artifact to resume, and one of them alone",
  },
).openapi("JobRequest");

/** Schema of a job in replies. */
export const jobReplySchema = jobSchema.extend({
  queue_position: z.int().nullable().openapi({ description: "Runs that come before; null unless it waits." }),
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
  ).openapi({ description: "The pictures, where to fetch them as files." }),
  events_url: z.string(),
}).openapi("JobReply");

/** A job in replies. */
export type JobReply = z.infer<typeof jobReplySchema>;

/** Schema of the queue, i.e. the unfinished jobs. */
export const queueReplySchema = z.object({
  jobs: z.array(
    jobReplySchema.pick({ id: true, status: true, started: true, queue_position: true, progress: true }),
  ).openapi({ description: "The jobs that run, then those that wait, in the order of the queue." }),
  ended: z.int().openapi({ description: "Jobs that ended or were removed since the server started." }),
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
  after: z.string().max(64).optional().openapi({ description: "The id of the last job of the page before." }),
  status: jobStatusSchema.optional(),
  starred: z.enum(["true", "false"]).optional().openapi({
    description: "`true` for the jobs that are starred alone, `false` for the others alone.",
  }),
  q: z.string().max(LONGEST_QUERY).optional().openapi({
    description:
      "Words that all stand in the prompts, the negative prompts, the seeds or the names of the job's model, " +
      "scheduler or adapters, in upper or lower case.",
  }),
});

/** Schema of a change to a job. */
export const jobChangeSchema = z.strictObject({
  starred: z.boolean().openapi({
    description: "Whether it is starred: it and its artifacts then stay until it is removed.",
  }),
}).openapi("JobChange");
