/**
 * Requests to the hub, with the token, a limit on silence, and retries.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { ConnectionWatch } from "../network/connection_watch.ts";
import { permissionError } from "../errors/permission_error.ts";
import { HubError, refusedBy, unreachable } from "./hub_error.ts";
import type { HubAccess } from "./hub_settings.ts";

/** The subject of requests, for error messages, and their limits. */
export interface HubRequestContext {
  /** The model, e.g. `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`. */
  readonly model: string;
  /** The branch, tag or commit. */
  readonly revision: string;
  /** Stops the requests. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without an answer or its next byte after which a request is abandoned. */
  readonly stallTimeout: number;
}

/** How often and how soon a request is retried. */
export interface RetryOptions {
  /**
   * Maximum number of attempts in a row without progress. Requests to the hub's API, which precede any
   * download, are attempted at most three times.
   *
   * @default {5}
   */
  readonly tries?: number | undefined;
  /**
   * Milliseconds before the second attempt, doubled before each further one.
   *
   * @default {500}
   */
  readonly retryDelay?: number | undefined;
  /** Stops the retries. */
  readonly signal?: AbortSignal | undefined;
  /** Called with a sentence about each failure that is retried. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Returns a `fetch` for the hub. The token is only sent to the hub's own origin, not to the targets of
 * redirects and links.
 *
 * @param access The hub's address and token.
 * @param context The subject of the requests.
 * @returns A `fetch` that throws a `HubError` unless the status is a success. The body throws one if it
 * breaks off or becomes silent.
 */
export function hubFetch(access: HubAccess, context: HubRequestContext): typeof fetch {
  const { model, revision } = context;
  const { origin } = new URL(access.endpoint);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    headers.set("User-Agent", "pixstage");
    if (access.token !== undefined && url.origin === origin) {
      headers.set("Authorization", `Bearer ${access.token}`);
    }
    const stops = [init?.signal, context.signal].filter((signal) => signal instanceof AbortSignal);
    const watch = new ConnectionWatch(context.stallTimeout, stops);
    const failure = (cause: unknown): unknown => {
      const stopped = stops.find(({ aborted }) => aborted);
      return stopped ? stopped.reason : permissionError(cause) ?? unreachable(model, url, cause);
    };
    let response: Response;
    try {
      response = await watch.wait(fetch(url, { ...init, headers, signal: watch.signal }));
    } catch (cause) {
      throw failure(cause);
    }
    if (response.ok) {
      const body = response.body && ReadableStream.from(watched(response.body, watch, failure));
      return new Response(body, response);
    }
    await response.body?.cancel();
    throw refusedBy(response, url, access, model, revision);
  };
}

/** Passes on the chunks of a body, and converts its failures. */
async function* watched(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  watch: ConnectionWatch,
  failure: (cause: unknown) => unknown,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const read = async () => {
    try {
      return await watch.wait(reader.read());
    } catch (cause) {
      throw failure(cause);
    }
  };
  try {
    for (let next = await read(); !next.done; next = await read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * Retries work if the network or the server fails.
 *
 * @param work The work. It calls its argument after each bit of progress, which resets the number of
 * attempts.
 * @param options How often and how soon to retry.
 * @returns The result of `work`.
 * @throws {HubError} of the last attempt, or the first error that a retry cannot fix.
 */
export async function withRetries<T>(
  work: (progress: () => void) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { tries = 5, retryDelay = 500, signal, onWarning } = options;
  for (let tried = 0;;) {
    signal?.throwIfAborted();
    try {
      return await work(() => tried = 0);
    } catch (error) {
      tried += 1;
      signal?.throwIfAborted();
      if (!(error instanceof HubError) || error.code !== "unreachable" || tried >= tries) throw error;
      onWarning?.(`${error.problem}. Trying again (${tried + 1} of ${tries})`);
      // A random factor spreads the retries of parallel downloads.
      const wait = retryDelay * 2 ** (tried - 1) * (0.75 + Math.random() / 2);
      await delay(wait, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}
