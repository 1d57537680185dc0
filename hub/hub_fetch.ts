/**
 * Requests to the hub: the token where it belongs, and failures in words.
 *
 * @module
 */

import { fetchFailure } from "../artifacts/fetch_failure.ts";
import { proxyInUse } from "../artifacts/proxy.ts";
import { HubError } from "./hub_error.ts";
import type { HubSettings } from "./hub_settings.ts";
import { StallWatch } from "./stall_watch.ts";

/** What requests are about, for their errors. */
export interface HubRequestContext {
  /** The model: `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`. */
  readonly model: string;
  /** The branch, tag or commit. */
  readonly revision: string;
  /** Stops the requests. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without an answer or a byte of it after which a request is given up. */
  readonly stallTimeout: number;
}

/** Where the hub is, and the token that it is asked with. */
type HubAccess = Pick<HubSettings, "endpoint" | "token" | "tokenSource">;

/**
 * Makes a `fetch` for the hub. The token goes to the hub's own origin alone, not to where the hub redirects or links.
 *
 * @param settings Where the hub is.
 * @param context What the requests are about.
 * @returns A `fetch` that throws a `HubError` unless the status is one of success. The body throws one if it breaks off or
 * falls silent.
 */
export function hubFetch(settings: HubAccess, context: HubRequestContext): typeof fetch {
  const { origin } = new URL(settings.endpoint);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    headers.set("User-Agent", "pixstage");
    if (settings.token !== undefined && url.origin === origin) {
      headers.set("Authorization", `Bearer ${settings.token}`);
    }
    const stall = new StallWatch(context.stallTimeout);
    const signals = [init?.signal, context.signal, stall.signal].filter((signal) =>
      signal instanceof AbortSignal
    );
    const failure = (cause: unknown): unknown => {
      const stopped = [init?.signal, context.signal].find((signal) => signal?.aborted);
      if (stopped) return stopped.reason;
      return unreachable(context.model, url, stall.signal.aborted ? stall.signal.reason : cause);
    };
    let response: Response;
    try {
      response = await stall.wait(fetch(url, { ...init, headers, signal: AbortSignal.any(signals) }));
    } catch (cause) {
      throw failure(cause);
    }
    if (response.ok) {
      const body = response.body && ReadableStream.from(watched(response.body, stall, failure));
      return new Response(body, response);
    }
    await response.body?.cancel();
    throw statusError(response, url, settings, context);
  };
}

/** The pieces of a body, with errors in words. */
async function* watched(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  stall: StallWatch,
  failure: (cause: unknown) => unknown,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  const read = async () => {
    try {
      return await stall.wait(reader.read());
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

/** The error for a network that fails. */
export function unreachable(model: string, url: URL, cause: unknown): HubError {
  const reason = [fetchFailure(cause), ...proxyOf(url)].join("; ");
  return new HubError("unreachable", `Cannot download ${model}: ${url.origin} is unreachable (${reason})`, {
    advice: "Check the network, or set HF_HUB_OFFLINE=1 to use the cache alone",
    cause,
  });
}

function statusError(
  response: Response,
  url: URL,
  settings: HubAccess,
  { model, revision }: HubRequestContext,
): HubError {
  const { status } = response;
  const code = response.headers.get("X-Error-Code");
  const page = `${settings.endpoint}/${model}`;
  if (status === 429 || status === 408 || status >= 500) {
    const answer = [status, ...proxyOf(url)].join("; ");
    return new HubError("unreachable", `Cannot download ${model}: ${url.origin} answers ${answer}`, {
      advice: "Try again later",
    });
  }
  if (code === "RevisionNotFound") {
    return new HubError("revision_not_found", `Cannot download ${model}: it has no revision ${revision}`, {
      advice: `Its branches and tags are on ${page}/tree/main`,
    });
  }
  if (code === "EntryNotFound") {
    return new HubError("file_not_found", `Cannot download ${model}: ${url.pathname} is no longer there`, {
      advice: "Try again",
    });
  }
  if (code === "GatedRepo") {
    return new HubError("unauthorized", `Cannot download ${model}: its terms must be accepted (${status})`, {
      advice: `Accept them on ${page}, then set HF_TOKEN to an access token of your account`,
    });
  }
  // The hub answers 401 for models that do not exist, so as not to tell which private ones do.
  if (status === 404 || code === "RepoNotFound") {
    return new HubError(
      "model_not_found",
      `Cannot download ${model}: ${settings.endpoint} has no such model, or it is private (${status})`,
      { advice: `Check the name. ${tokenAdvice(settings)}` },
    );
  }
  if (status === 401 || status === 403) {
    return new HubError("unauthorized", `Cannot download ${model}: it needs permission (${status})`, {
      advice: tokenAdvice(settings),
    });
  }
  return new HubError(
    "unreachable",
    `Cannot download ${model}: ${url.origin}${url.pathname} answers ${status}`,
  );
}

/** The proxy that may have answered, or failed, in a server's place. */
function proxyOf(url: URL): readonly string[] {
  return [proxyInUse(url)].filter((proxy) => proxy !== undefined);
}

function tokenAdvice({ token, tokenSource }: HubAccess): string {
  return token === undefined
    ? "A private model needs HF_TOKEN set to an access token that may read it"
    : `The access token from ${tokenSource} may not read it or has expired`;
}
