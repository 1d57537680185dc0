/**
 * OpenTelemetry spans: one per run, under the request that ordered it, and within it one per stage. Deno
 * exports them if `OTEL_DENO=true`; otherwise this module has no effect.
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

/** The spans of an active run. */
interface OpenRun {
  readonly span: Span;
  /** The run's context in the trace; its stages are children of it. */
  readonly inside: Context;
  /** Spans of the running stages, by node. */
  readonly stages: Map<string, Span>;
}

/**
 * Answers a request within a span named by its route, because dashboards group spans by name. `Deno.serve`
 * has already started a span; `node:http` of Deno 2.9.6 starts none.
 *
 * @param request The request.
 * @param answer Answers it, and returns its route, id and status.
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

/** Records the spans of runs. */
export class RunSpans {
  #orders = new WeakMap<JobRun, Context>();
  #open = new WeakMap<JobRun, OpenRun>();

  /** Notes that the current request has ordered a run. */
  ordered(jobRun: JobRun): void {
    this.#orders.set(jobRun, context.active());
  }

  /** Starts the span of a run. A run left over from an earlier server has no request. */
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

  /** Does a run's work within its span, so that remote work, e.g. on a queue, is traced under the run. */
  within<T>(jobRun: JobRun, work: () => Promise<T>): Promise<T> {
    return context.with(this.#open.get(jobRun)?.inside ?? context.active(), work);
  }

  /** Records a run event. */
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

/** Starts the span of a stage, whether the stage runs or is cached. */
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
