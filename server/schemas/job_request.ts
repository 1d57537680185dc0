/**
 * What jobs are asked for with, and how they are told of.
 *
 * @module
 */

import { z } from "@hono/zod-openapi";
import { graphDocumentSchema } from "../../graph/document.ts";
import { pictureRequestSchema } from "../../graph/picture_request.ts";
import { jobSchema, jobStatusSchema } from "../jobs/job.ts";

/** The request of the command line, its one recursive field described by hand: the document's maker cannot. */
const requestSchema = pictureRequestSchema.extend({
  schedulerOptions: pictureRequestSchema.shape.schedulerOptions.unwrap().optional().openapi({
    type: "object",
    additionalProperties: true,
  }),
}).openapi("PictureRequest");

/** The schema of an order: a picture request or a whole graph. */
export const jobRequestSchema = z.strictObject({
  request: requestSchema.optional().openapi({ description: "A request for pictures." }),
  graph: graphDocumentSchema.optional().openapi({ description: "A graph, instead of a request." }),
  previews: z.boolean().default(true).openapi({
    description: "Whether the events show what denoising has come to at every step.",
  }),
  deadline: z.number().positive().optional().openapi({
    description: "Seconds by which the job must have ended; it fails otherwise, whether it waits or runs.",
  }),
}).refine(({ request, graph }) => (request === undefined) !== (graph === undefined), {
  message: "Give a request or a graph, and not both",
}).openapi("JobRequest");

/** The schema of a job as replies tell of it. */
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

/** A job as replies tell of it. */
export type JobReply = z.infer<typeof jobReplySchema>;

/** The schema of a page of jobs. */
export const jobListSchema = z.object({
  object: z.literal("list"),
  data: z.array(jobReplySchema),
  has_more: z.boolean(),
}).openapi("JobList");

/** The schema of the query of a list. */
export const jobQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).default(20),
  after: z.string().max(64).optional().openapi({ description: "The id of the last job of the page before." }),
  status: jobStatusSchema.optional(),
});
