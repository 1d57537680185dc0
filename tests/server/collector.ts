/**
 * Receives the spans that servers and workers export.
 *
 * @module
 */

import { z } from "zod";

/** Spans as OTLP writes them in JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. */
const spanSchema = z.object({
  traceId: z.string().length(32),
  spanId: z.string().length(16),
  parentSpanId: z.string(),
  name: z.string(),
  startTimeUnixNano: z.string().transform(BigInt),
  endTimeUnixNano: z.string().transform(BigInt),
  attributes: z.array(z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) })).transform(
    (list) => Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]])),
  ),
  status: z.object({ code: z.int(), message: z.string() }),
});

const tracesSchema = z.object({
  resourceSpans: z.array(z.object({ scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })) })),
});

/** An exported span. */
export type Span = z.infer<typeof spanSchema>;

/** An OpenTelemetry collector that receives exports over HTTP. */
export class Collector implements AsyncDisposable {
  readonly spans: Span[] = [];
  #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.json();
    if (new URL(request.url).pathname === "/v1/traces") {
      const { resourceSpans } = tracesSchema.parse(body);
      this.spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)));
    }
    return Response.json({});
  });

  /** The environment variables that make a process export to this collector. */
  get env(): Readonly<Record<string, string>> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: this.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_SERVICE_NAME: "pixstage",
    };
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  named(name: string): Span[] {
    return this.spans.filter((span) => span.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
