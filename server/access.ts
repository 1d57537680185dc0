/**
 * Who may ask: the API key, the names that the server answers to, and the pages that may call it.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { ApiError } from "./api_error.ts";
import type { ServerEnv } from "./context.ts";
import type { PictureLinks } from "./picture_links.ts";

/** The cookie in which the studio page keeps the key, as pictures and event streams cannot carry a header. */
export const KEY_COOKIE = "pixstage_key";

/**
 * Asks for the key: `Authorization: Bearer KEY`, `Basic` with the key as the password of any user, or the studio
 * page's cookie. A link to a picture that the server has signed needs neither.
 */
export function requireKey(key: string, links: PictureLinks): MiddlewareHandler<ServerEnv> {
  const expected = new TextEncoder().encode(key);
  return async (context, next) => {
    const header = context.req.header("authorization") ?? "";
    const sent = bearerOf(header) ?? passwordOf(header) ?? getCookie(context, KEY_COOKIE) ?? "";
    const given = new TextEncoder().encode(sent);
    const hasKey = given.length === expected.length && timingSafeEqual(given, expected);
    const query = URL.parse(context.req.url)?.searchParams ?? new URLSearchParams();
    if (!hasKey && !(isReading(context.req.method) && links.isGood(context.req.path, query))) {
      const headers = { "www-authenticate": "Bearer" };
      throw new ApiError("invalid_api_key", "Send the API key as Authorization: Bearer KEY", {
        headers,
      });
    }
    await next();
  };
}

function bearerOf(header: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header)?.[1];
}

/** The password of `Basic`: clients of AUTOMATIC1111's web UI know no other way. */
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
 * Refuses a key that no request can carry. A header cannot hold blanks or characters beyond ASCII unchanged,
 * so such a key would match nothing.
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

/** The name that stands for all names among those that a server answers to. */
export const ANY_HOST = "*";

/**
 * Refuses a name that no request can carry.
 *
 * @throws {InputError} if it is neither a host name, nor `*.` before one, nor `*`.
 */
export function requireUsableHost(name: string): void {
  if (name === ANY_HOST || /^(?:\*\.)?[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*$/u.test(name)) return;
  throw new InputError(
    "invalid_value",
    `Cannot answer to a name as it must be a host's without protocol and port, *.NAME or *: current value is "${name}"`,
  );
}

/**
 * Answers to the names that are allowed, to this machine's, and to IP addresses. A page elsewhere that makes
 * its own name lead to this machine gets nothing; an IP address cannot be made to lead elsewhere.
 */
export function requireAllowedHost(allowed: readonly string[]): MiddlewareHandler<ServerEnv> {
  return async (context, next) => {
    const { host } = context.env.address;
    if (host === undefined) throw new ApiError("bad_request", "The header Host must name a host");
    const name = hostname(host);
    if (!isLoopback(name) && !isIP(name.replace(/^\[(.*)\]$/, "$1")) && !isAllowed(name, allowed)) {
      const message = `The server does not answer to the name ${name}: allow it with --allowed-host ${name}`;
      throw new ApiError("host_not_allowed", message);
    }
    await next();
  };
}

/**
 * Refuses what pages of other origins send, but for those that are allowed. The server's own page may come
 * from any of the names that it answers to: behind a proxy that writes another `Host`, the browser's word or
 * the name tells.
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
      const message = "Pages of other origins may not call this server: --cors-origin allows one. " +
        "Behind a reverse proxy, name the host of the page with --allowed-host";
      throw new ApiError("origin_not_allowed", message);
    }
    await next();
  };
}

/** The name of a host without its port. */
function hostname(host: string): string {
  return host.replace(/:\d+$/, "").replace(/\.$/, "");
}

function isAllowed(name: string, allowed: readonly string[]): boolean {
  return allowed.map((pattern) => pattern.toLowerCase()).some((pattern) =>
    pattern === ANY_HOST || pattern === name || pattern.startsWith("*.") && name.endsWith(pattern.slice(1))
  );
}
