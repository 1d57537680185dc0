/**
 * Routes that run single stages, so that one machine can encode, another denoise and a third decode.
 *
 * @module
 */

import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { asJson } from "../../artifacts/canonical_json.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { sha256Schema } from "../../artifacts/store/stage_record.ts";
import { parseValue } from "../../errors/parse_value.ts";
import { snapshotPolicySchema } from "../../graph/snapshots.ts";
import { precisionSchema } from "../../models/precision.ts";
import { residencySchema } from "../../models/segments.ts";
import type { Stage } from "../../stages/stage.ts";
import { ApiError } from "../api_error.ts";
import { checkGraph, checkParameters } from "../check_graph.ts";
import { checkOutlines } from "../check_outlines.ts";
import { checkInTime } from "../check_in_time.ts";
import { queueClient } from "../client_name.ts";
import type { ServerContext, ServerEnv } from "../context.ts";
import { eventStream } from "../event_stream.ts";
import type { Job } from "../jobs/job.ts";
import { requireEnded } from "../jobs/require_ended.ts";
import { modelNames, orderOf } from "../job_graphs.ts";
import { router } from "../router.ts";
import { faults, json } from "./responses.ts";

/** Id of the stage's node in the graph of its job. */
const NODE = "stage";

const requestSchema = z.strictObject({
  version: z.string().max(100).optional().openapi({
    description: "The required version of the stage. A different version is refused.",
  }),
  parameters: z.record(z.string(), z.unknown()).default({}),
  inputs: z.record(z.string(), sha256Schema).default({}).openapi({
    description: "The ids of the artifacts at the input ports. Upload them first.",
  }),
  previews: z.boolean().default(false).openapi({
    description: "Whether events contain intermediate images, if the stage supports that.",
  }),
  snapshots: snapshotPolicySchema.optional().openapi({
    description: "When to store snapshots of the stage. `checkpoint` events contain their ids.",
  }),
  saved: sha256Schema.optional().openapi({
    description: "The id of a snapshot to resume from. Upload it first.",
  }),
}).openapi("StageRequest");

const prepareSchema = z.strictObject({
  version: z.string().max(100).optional().openapi({
    description: "The required version of the stage. A different version is refused.",
  }),
  parameters: z.record(z.string(), z.unknown()).default({}),
  inputs: z.record(z.string(), z.record(z.string(), z.unknown())).default({}).openapi({
    description: "Outlines of the artifacts at the input ports: kinds, shapes and metadata.",
  }),
  residency: residencySchema.optional().openapi({
    description: "How long weights stay in memory (default: the server's setting).",
  }),
  lowestPrecision: precisionSchema.optional().openapi({
    description: "The lowest precision among the listed ways to run.",
  }),
}).openapi("PrepareRequest");

const preparedSchema = z.custom<JsonObject>((value) => value !== null && typeof value === "object").openapi(
  "Preparation",
  {
    type: "object",
    additionalProperties: true,
    description:
      "What the result depends on besides its inputs, the weights, outlines of the outputs, and the memory of each way to run.",
  },
);

const resultSchema = z.object({
  outputs: z.record(z.string(), sha256Schema).openapi({
    description: "The ids of the artifacts at the output ports.",
  }),
  warnings: z.array(z.string()).openapi({ description: "Warnings for the user, one sentence each." }),
}).openapi("StageResult");

const route = createRoute({
  method: "post",
  path: "/v1/stages/{name}",
  operationId: "runStage",
  tags: ["Stages"],
  summary: "Runs one stage on uploaded artifacts",
  description:
    "With `Accept: text/event-stream`, the response is a stream of the run's events. The last one is `result`. " +
    "Closing the connection cancels the run.",
  request: {
    params: z.object({ name: z.string().max(200) }),
    body: { required: true, content: { "application/json": { schema: requestSchema } } },
  },
  responses: {
    200: {
      description: "The result, or the stream of events.",
      content: {
        "application/json": { schema: resultSchema },
        "text/event-stream": { schema: z.string() },
      },
    },
    409: json(faults[400].content["application/json"].schema, "The stage has a different version."),
    ...faults,
  },
});

const prepareRoute = createRoute({
  method: "post",
  path: "/v1/stages/{name}/prepare",
  operationId: "prepareStage",
  tags: ["Stages"],
  summary: "Prepares a stage without running it",
  description:
    "Reads configurations and the headers of weights. Remote executors use the response as the key of their results.",
  request: {
    params: z.object({ name: z.string().max(200) }),
    body: { required: true, content: { "application/json": { schema: prepareSchema } } },
  },
  responses: {
    200: json(preparedSchema, "What the stage would do, and what its result depends on."),
    409: json(faults[400].content["application/json"].schema, "The stage has a different version."),
    ...faults,
  },
});

/** Creates the stage routes. */
export function stageRoutes(server: ServerContext) {
  const { jobs, limits, registry } = server;
  /** Finds a stage by name, and refuses another version of it. */
  const findStage = (name: string, version: string | undefined): Stage => {
    if (!registry.has(name)) {
      const names = registry.list().map((stage) => stage.name).join(", ");
      throw new ApiError("stage_not_found", `There is no such stage: available are ${names}`, {
        param: "name",
      });
    }
    const stage = registry.get(name);
    if (version !== undefined && version !== stage.version) {
      const message =
        `Stage "${name}" has version ${stage.version} on this server: upgrade the client or the server`;
      throw new ApiError("version_mismatch", message, { param: "version" });
    }
    return stage;
  };
  return router().openapi(prepareRoute, async (context) => {
    const { name } = context.req.valid("param");
    const { version, parameters, inputs, residency, lowestPrecision } = context.req.valid("json");
    const stage = findStage(name, version);
    // Preparing a stage takes a place in the queue, as checking an order does.
    using _place = jobs.reserve(queueClient(context));
    const parsed = parseValue(stage.parameters, parameters);
    checkParameters(Object(parsed), { limits, models: modelNames(server) }, ["parameters"], name);
    const outlines = checkOutlines(stage, inputs);
    const node = { id: NODE, stage, parameters: parsed };
    const prepared = await checkInTime(
      limits,
      (signal) => server.engine.prepare({ node, inputs: outlines, residency, lowestPrecision }, signal),
      context.req.raw.signal,
    );
    return context.json(asJson(prepared) as JsonObject, 200);
  }).openapi(route, async (context) => {
    const { name } = context.req.valid("param");
    const { version, parameters, inputs, previews, snapshots, saved } = context.req.valid("json");
    findStage(name, version);
    using place = jobs.reserve(queueClient(context));
    for (const id of [...Object.values(inputs), ...(saved === undefined ? [] : [saved])]) {
      if (await server.artifacts.find(id)) continue;
      throw new ApiError("artifact_not_found", `There is no artifact ${id}: upload it first`, {
        param: "inputs",
      });
    }
    const node = {
      stage: name,
      parameters,
      inputs: Object.fromEntries(Object.entries(inputs).map(([port, artifact]) => [port, { artifact }])),
    };
    const rules = { limits, registry, models: modelNames(server) };
    const job = jobs.submit(
      await orderOf({
        kind: "stage",
        request: null,
        graph: checkGraph({ pixstage: 1, nodes: { [NODE]: node } }, rules, []),
        previews,
        snapshots,
        saved: saved === undefined ? undefined : { [NODE]: saved },
      }, server),
      place,
    );
    if (context.req.header("accept")?.includes("text/event-stream")) return stream(context, job, server);
    await jobs.ended(job.id, context.req.raw.signal);
    return context.json(resultOf(requireEnded(jobs, job.id)), 200);
  });
}

/** Streams the events of the run and its result. */
function stream(context: Context<ServerEnv>, job: Job, server: ServerContext): Response {
  return eventStream(context, server, async (stream, gone) => {
    gone.addEventListener("abort", () => server.jobs.cancel(job.id));
    try {
      for await (const { type, data } of server.jobs.follow(job.id, 0, gone, true)) {
        await stream.writeSSE({ event: type, data });
      }
      const result = resultOf(requireEnded(server.jobs, job.id));
      await stream.writeSSE({ event: "result", data: JSON.stringify(result) });
    } catch (error) {
      await stream.writeSSE({ event: "error", data: JSON.stringify(ApiError.from(error)) });
    }
  });
}

/** Returns the outputs of a job that ran one stage. */
function resultOf(job: Job): z.infer<typeof resultSchema> {
  if (job.error) {
    throw ApiError.ofJob(job.error);
  }
  if (job.status !== "completed") throw new ApiError("interrupted", "The run was interrupted");
  const outputs = Object.entries(job.artifacts).map((
    [output, { id }],
  ) => [output.slice(NODE.length + 1), id]);
  return { outputs: Object.fromEntries(outputs), warnings: job.warnings };
}
