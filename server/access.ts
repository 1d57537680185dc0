/**
 * Who may ask: the API key, the names that the server answers to, and the pages that may call it.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { timingSafeEqual } from "node:crypto";
import { ApiError } from "./api_error.ts";
import type { ServerEnv } from "./context.ts";

/** The cookie in which the studio page keeps the key, as pictures and event streams cannot carry a header. */
export const KEY_COOKIE = "pixstage_key";

/** Asks for the key: `Authorization: Bearer KEY`, or the studio page's cookie. */
export function requireKey(key: string): MiddlewareHandler<ServerEnv> {
  const expected = new TextEncoder().encode(key);
  return async (context, next) => {
    const [, bearer] = /^Bearer +(\S+)$/i.exec(context.req.header("authorization") ?? "") ?? [];
    const given = new TextEncoder().encode(bearer ?? getCookie(context, KEY_COOKIE) ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      const headers = { "www-authenticate": "Bearer" };
      throw new ApiError("invalid_api_key", "Send the API key as Authorization: Bearer KEY", {
        headers,
      });
    }
    await next();
  };
}

/**
 * Refuses a key that no request can carry. A header cannot hold blanks or characters beyond ASCII unchanged, so such a
 * key would match nothing.
 *
 * @throws {InputError} if the key has other characters than visible ASCII.
 */
export function requireUsableKey(key: string): void {
  if (/^[\x21-\x7e]+$/.test(key)) return;
  const at = key.search(/[^\x21-\x7e]/);
  const found = key === "" ? "it is empty" : `character ${at + 1} is another`;
  throw new InputError(
    "invalid_value",
    `Cannot use the API key as it must consist of visible ASCII characters, without blanks: ${found}`,
  );
}

/** Addresses of this machine alone. */
export function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname);
}

/**
 * Answers to loopback names alone: a page elsewhere that makes its own name lead to this machine gets nothing.
 */
export function requireLoopbackHost(): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const { hostname } = new URL(context.req.url);
    if (!isLoopback(hostname)) {
      throw new ApiError("host_not_allowed", "The server answers to the names of this machine alone");
    }
    await next();
  };
}

/** Refuses what pages of other origins send, but for those that are allowed. */
export function requireOwnOrigin(allowed: readonly string[]): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const origin = context.req.header("origin");
    const host = context.req.header("host") ?? new URL(context.req.url).host;
    const isOwn = origin === undefined || allowed.includes(origin) || URL.parse(origin)?.host === host;
    if (!isOwn) {
      throw new ApiError("origin_not_allowed", "Pages of other origins may not call this server");
    }
    await next();
  };
}
