/**
 * Routes of jobs: order, list, read, follow, star, cancel and remove.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import { keepAliveMs } from "../../pixstage/duration.ts";
import { ApiError } from "../api_error.ts";
import { checkGraph } from "../check_graph.ts";
import { queueClient } from "../client_name.ts";
import type { ServerContext } from "../context.ts";
import { jobEvents, queueEvents } from "../event_stream.ts";
import { jobReply } from "../job_reply.ts";
import { isOver, type Job } from "../jobs/job.ts";
import { searchWords } from "../jobs/search_text.ts";
import type { Limits } from "../limits.ts";
import type { PublicAddress } from "../public_address.ts";
import { router } from "../router.ts";
import { findModel, modelNames, orderOf, pictureGraph, resumedGraph } from "../job_graphs.ts";
import {
  jobChangeSchema,
  jobListSchema,
  jobQuerySchema,
  jobReplySchema,
  jobRequestSchema,
  queueReplySchema,
} from "../schemas/job_request.ts";
import { faults, json } from "./responses.ts";

const tags = ["Jobs"];
const params = z.object({ id: z.string().regex(/^job_[0-9a-f]{32}$/, "A job id is job_ and 32 hex digits") });

/** The route of orders. Gateways in front of the server use it too. */
export const orderRoute = createRoute({
  method: "post",
  path: "/v1/jobs",
  operationId: "createJob",
  tags,
  summary: "Creates a job that makes pictures, runs a graph, or continues from an artifact",
  request: { body: { required: true, content: { "application/json": { schema: jobRequestSchema } } } },
  responses: { 202: json(jobReplySchema, "The job, queued or running."), ...faults },
});

const listRoute = createRoute({
  method: "get",
  path: "/v1/jobs",
  operationId: "listJobs",
  tags,
  summary: "Lists and searches jobs, newest first",
  request: { query: jobQuerySchema },
  responses: { 200: json(jobListSchema, "A page of jobs."), ...faults },
});

const getRoute = createRoute({
  method: "get",
  path: "/v1/jobs/{id}",
  operationId: "getJob",
  tags,
  summary: "Gets a job",
  request: { params },
  responses: { 200: json(jobReplySchema, "The job."), ...faults },
});

const changeRoute = createRoute({
  method: "patch",
  path: "/v1/jobs/{id}",
  operationId: "changeJob",
  tags,
  summary: "Stars or unstars a job",
  description: "The server keeps a starred job and its artifacts until the job is removed.",
  request: {
    params,
    body: { required: true, content: { "application/json": { schema: jobChangeSchema } } },
  },
  responses: { 200: json(jobReplySchema, "The job."), ...faults },
});

const cancelRoute = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/cancel",
  operationId: "cancelJob",
  tags,
  summary: "Cancels a job; a running one stops at its next step",
  request: { params },
  responses: { 200: json(jobReplySchema, "The job."), 409: faults[400], ...faults },
});

const eventsRoute = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/events",
  operationId: "followJob",
  tags,
  summary: "Streams the events of a job",
  description:
    "Server-sent events, numbered from 1. Each is a JSON object whose type is the event's name. An interrupted " +
    "stream continues after the event given in `Last-Event-ID`.",
  request: {
    params,
    headers: z.object({
      "last-event-id": z.string().regex(/^\d{1,9}$/, "An event id must be a whole number").optional(),
    }),
  },
  responses: {
    200: { description: "The events.", content: { "text/event-stream": { schema: z.string() } } },
    204: { description: "The job has ended, and there are no events after the given one." },
    ...faults,
  },
});

const queueRoute = createRoute({
  method: "get",
  path: "/v1/jobs/events",
  operationId: "followQueue",
  tags,
  summary: "Streams the state of the queue: the running and waiting jobs and their progress",
  description:
    "Server-sent events of the type `queue`. Each contains the whole state as a JSON object of the schema " +
    "Queue. The first is sent at once, the others after each change.",
  responses: {
    200: { description: "The events.", content: { "text/event-stream": { schema: queueReplySchema } } },
    ...faults,
  },
});

const removeRoute = createRoute({
  method: "delete",
  path: "/v1/jobs/{id}",
  operationId: "removeJob",
  tags,
  summary: "Removes a finished job from the list",
  description: "The job's artifacts remain in the store until it is cleaned.",
  request: { params },
  responses: { 204: { description: "The job was removed." }, 409: faults[400], ...faults },
});

/** Creates the job routes. */
export function jobRoutes(server: ServerContext) {
  const { jobs, limits, registry } = server;
  const find = (id: string): Job => {
    const job = jobs.get(id);
    if (job) return job;
    throw new ApiError("job_not_found", `There is no job ${id}`, { param: "id" });
  };
  return router()
    .openapi(orderRoute, async (context) => {
      const { request: asked, graph, resume, previews, deadline, keep_alive, webhook } = context.req.valid(
        "json",
      );
      const request = asked && withModel(asked, server);
      requireDeadline(deadline, limits);
      if (webhook) requireAllowedWebhook(webhook.url, server);
      // A full queue refuses an order before its graph is checked.
      using place = jobs.reserve(queueClient(context));
      const rules = { limits, registry, models: modelNames(server) };
      const { image, mask, controlImage, ...plain } = request ?? {};
      const checked = request
        ? pictureGraph({ ...plain, model: request.model }, server, ["request"], {
          image,
          mask,
          controlImage,
        })
        : resume
        ? await resumedGraph(resume, server)
        : checkGraph(graph, rules);
      const order = await orderOf({
        kind: request ? "picture" : "graph",
        request: request ?? null,
        graph: checked,
        previews,
        deadline,
        keepAliveMs: keep_alive === undefined ? undefined : keepAliveMs(keep_alive),
        webhook: webhook && { url: webhook.url, base: baseOf(context.env.address) },
      }, server);
      return context.json(jobReply(jobs.submit(order, place), server, context.env.address), 202);
    })
    .openapi(listRoute, (context) => {
      const { limit, after, status, starred, q = "" } = context.req.valid("query");
      const page = jobs.list({
        limit: Math.min(limit, limits.maxPage),
        after,
        status,
        starred: starred === undefined ? undefined : starred === "true",
        words: searchWords(q),
      });
      const data = page.jobs.map((job) => jobReply(job, server, context.env.address));
      return context.json({ object: "list" as const, data, has_more: page.hasMore }, 200);
    })
    .openapi(queueRoute, (context) => queueEvents(context, server))
    .openapi(getRoute, (context) => {
      return context.json(jobReply(find(context.req.valid("param").id), server, context.env.address), 200);
    })
    .openapi(changeRoute, (context) => {
      const job = find(context.req.valid("param").id);
      const { starred } = context.req.valid("json");
      return context.json(jobReply(jobs.star(job, starred), server, context.env.address), 200);
    })
    .openapi(cancelRoute, (context) => {
      const job = find(context.req.valid("param").id);
      if (isOver(job.status)) {
        throw new ApiError("job_over", `Cannot cancel the job because it is already ${job.status}`, {
          param: "id",
        });
      }
      return context.json(jobReply(jobs.cancel(job.id)!, server, context.env.address), 200);
    })
    .openapi(removeRoute, (context) => {
      const job = find(context.req.valid("param").id);
      if (!isOver(job.status)) {
        throw new ApiError(
          "job_not_over",
          `Cannot remove the job because it is ${job.status}: cancel it first`,
          {
            param: "id",
          },
        );
      }
      jobs.remove(job.id);
      return context.body(null, 204);
    })
    .openapi(eventsRoute, (context) => {
      const { id } = find(context.req.valid("param").id);
      const after = Number(context.req.valid("header")["last-event-id"] ?? 0);
      return jobEvents(context, id, after, server);
    });
}

/** Refuses a webhook whose host the operator has not allowed. */
function requireAllowedWebhook(url: string, { webhookHosts }: ServerContext): void {
  if (webhookHosts.allows(url)) return;
  const hint = webhookHosts.isEmpty
    ? "this server sends no webhooks: start it with --webhook-allow HOST to allow a host"
    : "this server does not send webhooks to this host: start it with --webhook-allow HOST to allow it";
  throw new ApiError("webhook_not_allowed", `webhook.url: ${hint}`, { param: "webhook.url" });
}

/**
 * Returns the base of the address that the client used, so that links start with an address that it can
 * reach.
 */
function baseOf({ protocol, host, prefix }: PublicAddress): string {
  return `${protocol}://${host}${prefix}`;
}

/** Refuses a deadline beyond the maximum lifetime of jobs. */
function requireDeadline(deadline: number | undefined, { maxJobSeconds }: Limits): void {
  if (deadline === undefined || deadline <= maxJobSeconds) return;
  throw new ApiError("out_of_range", `deadline: must be at most ${maxJobSeconds}`, { param: "deadline" });
}

/** Fills in the default model if a request names none. */
function withModel<R extends { readonly model?: string | null | undefined }>(
  request: R,
  { models }: ServerContext,
): R & { readonly model: string } {
  return { ...request, model: findModel(models, request.model, "request.model").name };
}
