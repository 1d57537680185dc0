// This module is browser compatible.

import { ConnectionWatch, SilenceError } from "./connection_watch.ts";

/** How long a server is waited for, and how often it is asked. */
export interface PatientFetchOptions {
  /** Sends requests. Default is the platform's `fetch`. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined;
  /** Milliseconds without an answer, or without the next piece of one, after which a request is given up. */
  readonly silenceMs: number;
  /** How often a request is sent at most, where nothing comes or the server is busy. */
  readonly tries: number;
  /** Receives a sentence about each failure that another try follows. */
  readonly onRetry: (message: string) => void;
}

/** The answers of a server that is busy, that starts, or that a proxy cannot reach at the moment. */
const BUSY: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** The longest wait for a busy server, in seconds; one that asks for more is not asked again. */
const LONGEST_WAIT = 300;

/** The slowest upload that is waited for, in bytes per millisecond. */
const SLOWEST_UPLOAD = 20;

/**
 * A `fetch` that does not wait for ever: it gives a silent connection up and asks again, as it does where a
 * server is busy, after the time that `Retry-After` names. Requests must be such that sending them twice does
 * no harm.
 *
 * @param options How patient it is.
 * @returns The `fetch`. It throws what the platform's does, or a `SilenceError`, and so does the body of its
 * answer.
 */
export function patientFetch(
  { fetch = globalThis.fetch, silenceMs, tries, onRetry }: PatientFetchOptions,
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

/** The seconds after which a server may be asked again; undefined where its answer stands. */
function secondsToWait({ status, headers }: Response, tried: number): number | undefined {
  if (!BUSY.has(status)) return undefined;
  const named = headers.get("retry-after");
  if (named === null) return 2 ** (tried - 1);
  const seconds = /^\d+$/.test(named) ? Number(named) : Math.ceil((Date.parse(named) - Date.now()) / 1000);
  return seconds <= LONGEST_WAIT ? Math.max(seconds, 0) : undefined;
}

/**
 * The answer, whose body fails where it falls silent. In Deno 2.9.6 the body of an answer that was
 * garbage-collected does not get the request's signal, so that the connection would stay open: the body
 * is let go here.
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

/** Waits, unless a signal ends it. */
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
