/**
 * Spans for OpenTelemetry: one for each stage that ran. Deno sends them where `OTEL_DENO=true` says so, beside those of
 * the requests; without it nothing is done.
 *
 * @module
 */

import { SpanStatusCode, trace } from "@opentelemetry/api";
import type { RunEvent } from "../graph/events.ts";

const tracer = trace.getTracer("pixstage");

/** Makes a span of a stage that has ended, and of a run that has failed. */
export function traceEvent(event: RunEvent): void {
  const endTime = Date.now();
  if (event.type === "stage:end") {
    const attributes = {
      "pixstage.node": event.node,
      ...(event.memory?.peak === undefined ? {} : { "pixstage.peak_bytes": event.memory.peak }),
    };
    tracer.startSpan(`stage ${event.stage}`, { startTime: endTime - event.ms, attributes }).end(endTime);
  } else if (event.type === "failed") {
    const span = tracer.startSpan("run failed", { startTime: endTime - event.elapsedMs });
    span.setStatus({ code: SpanStatusCode.ERROR, message: event.message });
    span.end(endTime);
  }
}
