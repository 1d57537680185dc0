/**
 * Requests to the hub: the token where it belongs, and failures in words.
 *
 * @module
 */

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
  /** Milliseconds without an answer after which a request is given up. */
  readonly stallTimeout?: number | undefined;
}

/**
 * Makes a `fetch` for the hub. The token goes to the hub's own origin alone, not to where the hub redirects or links.
 *
 * @param settings Where the hub is.
 * @param context What the requests are about.
 * @returns A `fetch` that throws a `HubError` unless the status is one of success.
 */
export function hubFetch(
  settings: Pick<HubSettings, "endpoint" | "token">,
  context: HubRequestContext,
): typeof fetch {
  const { origin } = new URL(settings.endpoint);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    headers.set("User-Agent", "pixstage");
    if (settings.token !== undefined && url.origin === origin) {
      headers.set("Authorization", `Bearer ${settings.token}`);
    }
    using stall = new StallWatch(context.stallTimeout);
    const signals = [init?.signal, context.signal, stall.signal].filter((signal) =>
      signal instanceof AbortSignal
    );
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers, signal: AbortSignal.any(signals) });
    } catch (cause) {
      context.signal?.throwIfAborted();
      throw unreachable(context.model, origin, stall.signal.aborted ? stall.signal.reason : cause);
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw statusError(response, url, settings, context);
  };
}

/** The error for a network that fails. */
export function unreachable(model: string, origin: string, cause: unknown): HubError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new HubError(
    "unreachable",
    `Cannot download ${model} as ${origin} must be reachable: ${reason}. ` +
      "Check the network, or set HF_HUB_OFFLINE=1 to use the cache alone",
    { cause },
  );
}

function statusError(
  response: Response,
  url: URL,
  settings: Pick<HubSettings, "endpoint" | "token">,
  { model, revision }: HubRequestContext,
): HubError {
  const { status } = response;
  const code = response.headers.get("X-Error-Code");
  const page = `${settings.endpoint}/${model}`;
  if (status === 429 || status === 408 || status >= 500) {
    return new HubError(
      "unreachable",
      `Cannot download ${model} as ${url.origin} answers ${status}. Try later`,
    );
  }
  if (code === "RevisionNotFound") {
    return new HubError(
      "revision_not_found",
      `Cannot download ${model} as it has no revision ${revision}: see ${page}/tree/main for its branches and tags`,
    );
  }
  if (code === "EntryNotFound") {
    return new HubError("file_not_found", `Cannot download ${model} as ${url.pathname} is gone: try again`);
  }
  if (code === "GatedRepo") {
    return new HubError(
      "unauthorized",
      `Cannot download ${model} as its terms must be accepted (${status}): accept them on ${page}, then set HF_TOKEN ` +
        "to an access token of your account",
    );
  }
  // The hub answers 401 for models that do not exist, so as not to tell which private ones do.
  if (status === 404 || code === "RepoNotFound") {
    return new HubError(
      "model_not_found",
      `Cannot download ${model} as there is no such model on ${settings.endpoint}, or it is private (${status}): ` +
        `check the name; for a private one ${tokenAdvice(settings.token)}`,
    );
  }
  if (status === 401 || status === 403) {
    return new HubError(
      "unauthorized",
      `Cannot download ${model} as it needs permission (${status}): ${tokenAdvice(settings.token)}`,
    );
  }
  return new HubError(
    "unreachable",
    `Cannot download ${model} as ${url.origin}${url.pathname} answers ${status}`,
  );
}

function tokenAdvice(token: string | undefined): string {
  return token === undefined
    ? "set HF_TOKEN to an access token that may read it"
    : "HF_TOKEN is set, but to a token that may not read it or is no longer valid";
}
