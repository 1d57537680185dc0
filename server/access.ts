/**
 * Access control: the API key, the host names that the server answers to, and the origins that may call it.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { HonoRequest, MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { ApiError } from "./api_error.ts";
import type { ServerEnv } from "./context.ts";
import type { PictureLinks } from "./picture_links.ts";

/**
 * The cookie in which the studio page keeps the key. Requests for pictures and event streams cannot carry a
 * header.
 */
export const KEY_COOKIE = "pixstage_key";

/**
 * Requires the API key: `Authorization: Bearer KEY`, `Basic` with the key as any user's password, or the
 * studio page's cookie. A signed picture link needs no key.
 */
export function requireKey(key: string, links: PictureLinks): MiddlewareHandler<ServerEnv> {
  const expected = new TextEncoder().encode(key);
  return async (context, next) => {
    const header = context.req.header("authorization") ?? "";
    const sent = bearerOf(header) ?? passwordOf(header) ?? getCookie(context, KEY_COOKIE) ?? "";
    const given = new TextEncoder().encode(sent);
    const hasKey = given.length === expected.length && timingSafeEqual(given, expected);
    if (!hasKey && !isSignedReading(context.req, links)) {
      const headers = { "www-authenticate": "Bearer" };
      throw new ApiError("invalid_api_key", "Send the API key as Authorization: Bearer KEY", {
        headers,
      });
    }
    await next();
  };
}

/** Lets pages of any origin show the pictures of signed links. Whoever has such a link may see its picture. */
export function shareSignedPictures(links: PictureLinks): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    await next();
    if (!isSignedReading(context.req, links)) return;
    context.res.headers.set("cross-origin-resource-policy", "cross-origin");
  };
}

function isSignedReading({ method, url, path }: HonoRequest, links: PictureLinks): boolean {
  const query = URL.parse(url)?.searchParams ?? new URLSearchParams();
  return isReading(method) && links.isGood(path, query);
}

function bearerOf(header: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header)?.[1];
}

/** Returns the password of `Basic`, the only scheme that clients of AUTOMATIC1111's web UI support. */
function passwordOf(header: string): string | undefined {
  const [, encoded] = /^Basic +([\w+/=]+)$/i.exec(header) ?? [];
  if (encoded === undefined) return undefined;
  try {
    const pair = atob(encoded);
    return pair.slice(pair.indexOf(":") + 1);
  } catch {
    return undefined;
  }
}

function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/**
 * Refuses a key that no request can carry. A header cannot carry blanks or characters beyond ASCII unchanged,
 * so such a key would match nothing.
 *
 * @throws {InputError} if the key contains anything but visible ASCII characters.
 */
export function requireUsableKey(key: string): void {
  if (/^[\x21-\x7e]+$/.test(key)) return;
  const at = key.search(/[^\x21-\x7e]/);
  const found = key === "" ? "it is empty" : `character ${at + 1} is not allowed`;
  throw new InputError(
    "invalid_value",
    `Cannot use the API key because it must consist of visible ASCII characters without spaces: ${found}`,
  );
}

/** Whether a host name or address is this machine's loopback. */
export function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname);
}

/** The pattern that stands for every name in a list of allowed hosts. */
export const ANY_HOST = "*";

/**
 * Refuses a host name that no request can carry.
 *
 * @throws {InputError} if it is neither a host name, nor a host name after `*.`, nor `*`.
 */
export function requireUsableHost(name: string): void {
  if (name === ANY_HOST || /^(?:\*\.)?[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*$/u.test(name)) return;
  throw new InputError(
    "invalid_value",
    `Cannot allow a host because it must be a host name without protocol and port, *.NAME or *: current value is "${name}"`,
  );
}

/**
 * Answers only to allowed names, loopback names and IP addresses. This stops DNS rebinding: a foreign page
 * can point its own name at this machine, but it cannot redirect an IP address.
 */
export function requireAllowedHost(allowed: readonly string[]): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const { host } = context.env.address;
    if (host === undefined) throw new ApiError("bad_request", "The header Host must name a host");
    const name = hostname(host);
    if (!isLoopback(name) && !isIP(name.replace(/^\[(.*)\]$/, "$1")) && !isAllowed(name, allowed)) {
      const message =
        `The server does not accept requests for the host ${name}: allow it with --allowed-host ${name}`;
      throw new ApiError("host_not_allowed", message);
    }
    await next();
  };
}

/**
 * Refuses requests from pages of other origins, unless the origin is allowed. The server's own page can come
 * from any name that the server answers to. If a proxy rewrites `Host`, the server recognizes its page by
 * `Sec-Fetch-Site` or by the name.
 */
export function requireOwnOrigin(
  allowed: readonly string[],
  allowedHosts: readonly string[],
): MiddlewareHandler<ServerEnv> {
  const names = allowedHosts.filter((name) => !name.includes(ANY_HOST)).map((name) => name.toLowerCase());
  return async (context, next) => {
    const origin = context.req.header("origin");
    const from = URL.parse(origin ?? "");
    const isOwn = origin === undefined || allowed.includes(origin) ||
      context.req.header("sec-fetch-site") === "same-origin" ||
      from !== null && (from.host === context.env.address.host || names.includes(from.host));
    if (!isOwn) {
      const message =
        "Pages of other origins may not call this server: allow an origin with --cors-origin. " +
        "Behind a reverse proxy, allow the page's host with --allowed-host";
      throw new ApiError("origin_not_allowed", message);
    }
    await next();
  };
}

/** Returns a host's name without its port. */
function hostname(host: string): string {
  return host.replace(/:\d+$/, "").replace(/\.$/, "");
}

function isAllowed(name: string, allowed: readonly string[]): boolean {
  return allowed.map((pattern) => pattern.toLowerCase()).some((pattern) =>
    pattern === ANY_HOST || pattern === name || pattern.startsWith("*.") && name.endsWith(pattern.slice(1))
  );
}
