// This module is browser compatible.

import { ConnectionWatch, SilenceError } from "./connection_watch.ts";

/** How long to wait for a server, and how often to try. */
export interface RetryingFetchOptions {
  /** Sends requests. The default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /** Milliseconds without an answer, or without its next chunk, after which a request is abandoned. */
  readonly silenceMs: number;
  /** Maximum number of attempts if nothing arrives or the server is busy. */
  readonly tries: number;
  /** Called with a sentence about each failure that is retried. */
  readonly onRetry: (message: string) => void;
}

/** HTTP statuses of a server that is busy or starting, or that a proxy cannot reach at the moment. */
const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Longest wait for a busy server in seconds. A server that asks for more is not retried. */
const LONGEST_WAIT = 300;

/** Slowest upload to wait for, in bytes per millisecond. */
const SLOWEST_UPLOAD = 20;

/**
 * Returns a `fetch` that does not wait forever. It abandons a silent connection and retries. If a server is
 * busy, it retries after the time in `Retry-After`. Requests must be safe to send twice.
 *
 * @param options How long to wait, and how often to try.
 * @returns The function. It throws what the platform's `fetch` throws, or a `SilenceError`, and so does the
 * body of its response.
 */
export function retryingFetch(
  { fetch = globalThis.fetch, silenceMs, tries, onRetry }: RetryingFetchOptions,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const { url, method, headers, signal } = request;
    const { host } = new URL(url);
    const body = request.body ? await request.bytes() : undefined;
    for (let tried = 1;; tried++) {
      const watch = new ConnectionWatch(silenceMs, [signal]);
      const stop = AbortSignal.any([signal, watch.signal]);
      const attempt = new Request(url, { method, headers, ...(body ? { body } : {}), signal: stop });
      const again = `Trying again (${tried + 1} of ${tries})`;
      let response: Response;
      try {
        response = await watch.wait(fetch(attempt), (body?.length ?? 0) / SLOWEST_UPLOAD);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof SilenceError) || tried >= tries) throw error;
        onRetry(`${host} does not answer: ${error.message}. ${again}`);
        continue;
      }
      const seconds = secondsToWait(response, tried);
      if (tried >= tries || seconds === undefined) return watched(response, watch, stop);
      await response.body?.cancel();
      onRetry(`${host} answers ${response.status}. ${again} in ${seconds} s`);
      await pause(seconds * 1000, signal);
    }
  };
}

/** Returns the seconds after which a server can be asked again, or `undefined` if its answer is final. */
function secondsToWait({ status, headers }: Response, tried: number): number | undefined {
  if (!BUSY.has(status)) return undefined;
  const named = headers.get("retry-after");
  if (named === null) return 2 ** (tried - 1);
  const seconds = /^\d+$/.test(named) ? Number(named) : Math.ceil((Date.parse(named) - Date.now()) / 1000);
  return seconds <= LONGEST_WAIT ? Math.max(seconds, 0) : undefined;
}

/**
 * Returns the answer with a body that fails if it becomes silent. In Deno 2.9.6, the body of a
 * garbage-collected answer does not receive the request's signal, and the connection would stay open. It is
 * therefore released here.
 */
function watched(response: Response, watch: ConnectionWatch, stop: AbortSignal): Response {
  if (!response.body) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      stop.addEventListener("abort", () => {
        controller.error(stop.reason);
        reader.cancel(stop.reason).catch(() => {});
      }, { once: true });
    },
    async pull(controller) {
      const { done, value } = await watch.wait(reader.read());
      if (stop.aborted) return;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return new Response(body, response);
}

/** Waits, unless a signal ends the wait. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
}
