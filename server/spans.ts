/**
 * Spans for OpenTelemetry: one for each run, under the request that ordered it, and one in it for each stage.
 * Deno sends them where `OTEL_DENO=true` says so; without it nothing is done.
 *
 * @module
 */

import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { RunEvent } from "../graph/events.ts";
import type { JobRun } from "./jobs/job_run.ts";

const tracer = trace.getTracer("pixstage");

/** The spans of a run that is under way. */
interface OpenRun {
  readonly span: Span;
  /** The run's place in the trace; its stages lie in it. */
  readonly inside: Context;
  /** Stages that run, by node. */
  readonly stages: Map<string, Span>;
}

/**
 * Answers a request within a span that is named by its route, as dashboards group by the name. `Deno.serve`
 * has made the span already; `node:http` of Deno 2.9.6 makes none.
 *
 * @param request The request.
 * @param answer Answers it, and tells what it turned out to be.
 */
export async function traceRequest(
  { method, headers }: Pick<Request, "method" | "headers">,
  answer: () => Promise<{ readonly route: string; readonly id: string; readonly status: number }>,
): Promise<void> {
  const open = trace.getActiveSpan();
  const caller = propagation.extract(context.active(), Object.fromEntries(headers));
  const span = open ?? tracer.startSpan(method, { kind: SpanKind.SERVER }, caller);
  try {
    const { route, id, status } = await context.with(
      trace.setSpan(open ? context.active() : caller, span),
      answer,
    );
    span.updateName(`${method} ${route}`);
    span.setAttributes({
      "http.request.method": method,
      "http.response.status_code": status,
      "http.route": route,
      "pixstage.request.id": id,
    });
  } finally {
    if (!open) span.end();
  }
}

/** Makes the spans of runs. */
export class RunSpans {
  #orders = new WeakMap<JobRun, Context>();
  #open = new WeakMap<JobRun, OpenRun>();

  /** A run was ordered, by the request at hand. */
  ordered(jobRun: JobRun): void {
    this.#orders.set(jobRun, context.active());
  }

  /** A run begins. One that another server left has no request. */
  began(jobRun: JobRun): void {
    const outside = this.#orders.get(jobRun) ?? ROOT_CONTEXT;
    const [first] = jobRun.jobs.values();
    const span = tracer.startSpan(`run ${jobRun.kind}`, {
      attributes: {
        "pixstage.job.ids": [...jobRun.jobs.keys()],
        "pixstage.job.kind": jobRun.kind,
        ...(first ? { "pixstage.queue_ms": Math.max(Date.now() - first.created * 1000, 0) } : {}),
      },
    }, outside);
    this.#open.set(jobRun, { span, inside: trace.setSpan(outside, span), stages: new Map() });
  }

  /** Does a run's work in its place, so that work elsewhere, as on a queue, lies under the run. */
  within<T>(jobRun: JobRun, work: () => Promise<T>): Promise<T> {
    return context.with(this.#open.get(jobRun)?.inside ?? context.active(), work);
  }

  /** Something happens in a run. */
  event(event: RunEvent, jobRun: JobRun): void {
    const run = this.#open.get(jobRun);
    if (!run) return;
    const { span, stages } = run;
    switch (event.type) {
      case "stage:start":
        stages.set(event.node, stageSpan(event, jobRun, run));
        break;
      case "stage:cached":
        stageSpan(event, jobRun, run).setAttribute("pixstage.cached", true).end();
        break;
      case "stage:resumed":
        stages.get(event.node)?.addEvent("resumed", { "pixstage.step": event.step });
        break;
      case "step":
        stages.get(event.node)?.setAttribute("pixstage.steps", event.step);
        break;
      case "checkpoint":
        stages.get(event.node)?.addEvent("checkpoint", { "pixstage.artifact": event.id });
        break;
      case "stage:end": {
        const stage = stages.get(event.node);
        if (event.memory?.peak !== undefined) stage?.setAttribute("pixstage.peak_bytes", event.memory.peak);
        stage?.end();
        stages.delete(event.node);
        break;
      }
      case "warning":
        span.addEvent("warning", { "pixstage.message": event.message });
        break;
      case "done":
      case "failed":
      case "cancelled":
        for (const open of [...stages.values(), span]) {
          if (event.type === "failed") {
            open.setStatus({ code: SpanStatusCode.ERROR, message: event.message });
            open.setAttribute("error.type", event.error);
          }
          if (open === span) open.setAttribute("pixstage.job.status", STATUSES[event.type]);
          open.end();
        }
        this.#open.delete(jobRun);
    }
  }
}

const STATUSES = { done: "completed", failed: "failed", cancelled: "cancelled" } as const;

/** The span of a stage that begins, or that need not run. */
function stageSpan(
  { node, stage }: { readonly node: string; readonly stage: string },
  { graph }: JobRun,
  { inside }: OpenRun,
): Span {
  const model = graph.nodes[node]?.parameters["model"];
  const attributes = {
    "pixstage.node": node,
    "pixstage.stage": stage,
    ...(typeof model === "string" ? { "pixstage.model": model } : {}),
  };
  return tracer.startSpan(`stage ${stage}`, { attributes }, inside);
}
