/**
 * Failures between this machine and a model hub.
 *
 * @module
 */

import { fetchFailure } from "../network/fetch_failure.ts";
import { proxyInUse } from "../network/proxy.ts";
import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";
import type { HubAccess } from "./hub_settings.ts";

/**
 * The kinds of failure:
 * - `unauthorized`: the model is gated or private, or the hub refuses the token;
 * - `model_not_found`, `revision_not_found`, `file_not_found`: it does not exist, or is hidden;
 * - `unreachable`: the network or the server failed, even after retries;
 * - `offline`: the network must not be used, and the cache lacks something;
 * - `disk_full`: the files do not fit;
 * - `read_only`: the cache cannot be written, and lacks something;
 * - `corrupt`: the downloaded bytes are not the announced ones;
 * - `unsupported`: the model is not in diffusers' folder layout.
 */
export type HubErrorCode =
  | "unauthorized"
  | "model_not_found"
  | "revision_not_found"
  | "file_not_found"
  | "unreachable"
  | "offline"
  | "disk_full"
  | "read_only"
  | "corrupt"
  | "unsupported";

/** Further details of a {@linkcode HubError}. */
export interface HubErrorOptions extends PixstageErrorOptions {
  /** How to fix it, without a full stop. */
  readonly advice?: string | undefined;
}

/** A model could not be fetched. */
export class HubError extends PixstageError<HubErrorCode> {
  override name = "HubError";
  /** The failure: the message without the advice. */
  readonly problem: string;
  /** How to fix it. */
  readonly advice: string | undefined;

  /**
   * @param code The kind of failure.
   * @param problem The failure, without a full stop.
   * @param options How to fix it, details, and the underlying error.
   */
  constructor(code: HubErrorCode, problem: string, { advice, ...options }: HubErrorOptions = {}) {
    super(code, advice === undefined ? problem : `${problem}. ${advice}`, options);
    this.problem = problem;
    this.advice = advice;
  }
}

/** Failures that do not affect a cached copy of the model. */
const REFUSALS: readonly HubErrorCode[] = [
  "unauthorized",
  "model_not_found",
  "revision_not_found",
  "file_not_found",
  "unreachable",
  "disk_full",
  "read_only",
];

/** Returns whether a model cannot be fetched for a reason that allows the use of a cached copy. */
export function isRefusal(error: unknown): error is HubError {
  return error instanceof HubError && REFUSALS.includes(error.code);
}

/**
 * Returns the error for a network or a server that failed.
 *
 * @param model The model, e.g. `org/name`.
 * @param url The URL of the request.
 * @param cause The error of the request.
 * @returns The error to throw.
 */
export function unreachable(model: string, url: URL, cause: unknown): HubError {
  const reason = withProxy(fetchFailure(cause), url);
  return new HubError("unreachable", `Cannot download ${model}: ${url.origin} is unreachable (${reason})`, {
    advice: "Check the network, or set HF_HUB_OFFLINE=1 to use only the cache",
    cause,
  });
}

/**
 * Returns the error for an answer that is not a success.
 *
 * @param response The answer.
 * @param url The URL of the request.
 * @param access The hub, and the token that was sent.
 * @param model The model, e.g. `org/name`.
 * @param revision The branch, tag or commit.
 * @returns The error to throw.
 */
export function refusedBy(
  response: Response,
  url: URL,
  access: HubAccess,
  model: string,
  revision: string,
): HubError {
  const { status } = response;
  const code = response.headers.get("X-Error-Code");
  const page = `${access.endpoint}/${model}`;
  if (status === 429 || status === 408 || status >= 500) {
    return new HubError(
      "unreachable",
      `Cannot download ${model}: ${url.origin} answers ${withProxy(String(status), url)}`,
      { advice: "Try again later" },
    );
  }
  if (code === "RevisionNotFound") {
    return new HubError("revision_not_found", `Cannot download ${model}: it has no revision ${revision}`, {
      advice: `Its branches and tags are on ${page}/tree/main`,
    });
  }
  if (code === "EntryNotFound") {
    return new HubError("file_not_found", `Cannot download ${model}: ${url.pathname} no longer exists`, {
      advice: "Try again",
    });
  }
  if (code === "GatedRepo") {
    return new HubError("unauthorized", `Cannot download ${model}: its terms must be accepted (${status})`, {
      advice: `Accept them on ${page}, then set HF_TOKEN to an access token of your account`,
    });
  }
  // The hub also answers 401 for models that do not exist, to keep private ones secret.
  if (status === 404 || code === "RepoNotFound") {
    return new HubError(
      "model_not_found",
      `Cannot download ${model}: ${access.endpoint} has no such model, or it is private (${status})`,
      { advice: `Check the name. ${tokenAdvice(access)}` },
    );
  }
  if (status === 401 || status === 403) {
    return new HubError("unauthorized", `Cannot download ${model}: it needs permission (${status})`, {
      advice: tokenAdvice(access),
    });
  }
  return new HubError(
    "unreachable",
    `Cannot download ${model}: ${url.origin}${url.pathname} answers ${withProxy(String(status), url)}`,
  );
}

function tokenAdvice({ token, tokenSource }: HubAccess): string {
  return token === undefined
    ? "A private model needs HF_TOKEN set to an access token that may read it"
    : `The access token from ${tokenSource} may not read it or has expired`;
}

/** Adds the proxy, which may have failed or answered instead of the server. */
function withProxy(reason: string, url: URL): string {
  const proxy = proxyInUse(url);
  return proxy === undefined ? reason : `${reason}; ${proxy}`;
}
