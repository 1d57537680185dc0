/**
 * Servers for tests: real ones, each on a separate port, with the tiny checkpoints from the goldens.
 *
 * @module
 */

import { createServer, type ServerOptions } from "../../server/create_server.ts";
import { listen } from "../../server/listen.ts";
import { goldenPath } from "../goldens.ts";

/** The tiny checkpoints, by the names in requests. */
export const MODELS = [
  { name: "tiny", reference: goldenPath("checkpoints/tiny-alpha-512") },
  { name: "tiny-sigma", reference: goldenPath("checkpoints/tiny-sigma") },
];

/** A running server. */
export interface Serving extends AsyncDisposable {
  /** The server's address, without a trailing slash. */
  readonly url: string;
  /** The server's store. */
  readonly store: string;
  /** Asks it. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Sends JSON to the server. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

/** Starts a server. A store passed by the caller outlives it. */
export async function serving(options: ServerOptions = {}): Promise<Serving> {
  const store = options.store ?? await Deno.makeTempDir({ prefix: "pixstage-server-" });
  const server = await createServer({ models: MODELS, threads: 1, ...options, store });
  const listener = await listen(server, { port: 0 });
  const url = `http://127.0.0.1:${listener.port}`;
  const ask = async (path: string, init?: RequestInit): Promise<Response> => await fetch(url + path, init);
  return {
    url,
    store,
    ask,
    post: (path, body, headers = {}) =>
      ask(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      await server.close();
      await listener.close();
      if (options.store === undefined) await Deno.remove(store, { recursive: true });
    },
  };
}

/** Yields the events of a stream. */
export async function* sseEvents(
  response: Response,
): AsyncGenerator<{ id: string | undefined; event: string; data: string }> {
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) yield { id: field("id"), event: field("event") ?? "message", data };
    }
  }
}
