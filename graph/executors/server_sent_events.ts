// This module is browser compatible.

/** An event of a stream. */
export interface ServerSentEvent {
  /** Its type; `message` where the stream does not say. */
  readonly event: string;
  /** Its data; several lines are joined. */
  readonly data: string;
  /** Its id, where it has one. */
  readonly id?: string;
}

/**
 * Reads a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Comments are
 * left out.
 *
 * @param body The bytes.
 */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let rest = "";
  let fields: [name: string, value: string][] = [];
  // A byte stream of any kind will do; the platform's types insist on their own.
  const texts = (body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new TextDecoderStream());
  for await (const text of texts) {
    const lines = (rest + text).split(/\r\n|\n|\r(?=.)/s);
    rest = lines.pop()!;
    for (const line of lines) {
      if (line !== "") {
        const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (name !== "") fields.push([name, value]);
        continue;
      }
      const found = toEvent(fields);
      fields = [];
      if (found) yield found;
    }
  }
}

function toEvent(fields: readonly (readonly [string, string])[]): ServerSentEvent | undefined {
  const data = fields.filter(([name]) => name === "data").map(([, value]) => value);
  if (data.length === 0) return undefined;
  const last = (wanted: string): string | undefined => fields.findLast(([name]) => name === wanted)?.[1];
  const id = last("id");
  return { event: last("event") || "message", data: data.join("\n"), ...(id === undefined ? {} : { id }) };
}
