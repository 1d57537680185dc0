/**
 * The address under which a client reaches the server. Trusted reverse proxies send it in `Forwarded` or in
 * the `X-Forwarded-` headers. The server ignores these headers from other peers.
 *
 * @module
 */

import { BlockList, isIP, isIPv6 } from "node:net";
import { InputError } from "../errors/pixstage_error.ts";

/** The remote end of a connection, in the format of `Deno.serve`. */
export interface PeerAddress {
  /** `tcp`, or another transport. */
  readonly transport: string;
  /** The peer's IP address; undefined if it has none, e.g. for a Unix socket. */
  readonly hostname?: string | undefined;
  /** The peer's port. */
  readonly port?: number | undefined;
}

/** The address with which a client reached the server. */
export interface PublicAddress {
  /** The client's IP address; undefined if the connection has none. */
  readonly client: string | undefined;
  /** The protocol that the client used. */
  readonly protocol: "http" | "https";
  /** Host name and port as the client wrote them, in lower case; undefined if they are malformed. */
  readonly host: string | undefined;
  /**
   * The path that the server is mounted at, without a trailing slash, e.g. `/pixstage`; empty for the root.
   */
  readonly prefix: string;
}

/** Whether to trust a proxy, given its address and the number of proxies between it and the server. */
export type ProxyTrust = (address: string, hops: number) => boolean;

/** Options of {@linkcode publicAddress}. */
export interface PublicAddressOptions {
  /** The proxies to trust; none by default. */
  readonly trust?: ProxyTrust | undefined;
  /** The path that the server is mounted at unless a trusted proxy names another; `""` for the root. */
  readonly basePath: string;
}

const HOST = /^(?:\[[0-9a-f:.]{2,45}\]|[\p{L}\p{N}._-]{1,253})(?::\d{1,5})?$/iu;
const PREFIX = /^(?:\/[\w.~-]+)+$/;

/**
 * Parses the list of trusted proxies.
 *
 * @param values Each is the number of proxies before the server, an IP address, a network such as
 * `10.0.0.0/8`, or several of these separated by commas.
 * @returns Whether a proxy is trusted; undefined if there are no values.
 * @throws {InputError} if a value is none of these.
 */
export function proxyTrust(values: readonly string[]): ProxyTrust | undefined {
  if (values.length === 0) return undefined;
  const trusted = new BlockList();
  let count = 0;
  for (const value of values.flatMap((list) => list.split(",")).map((text) => text.trim())) {
    const [address = "", bits] = value.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    const most = family === "ipv6" ? 128 : 32;
    if (/^[1-9]\d?$/.test(value)) count = Math.max(count, Number(value));
    else if (isIP(address) && bits === undefined) trusted.addAddress(address, family);
    else if (isIP(address) && /^\d{1,3}$/.test(bits ?? "") && Number(bits) <= most) {
      trusted.addSubnet(address, Number(bits), family);
    } else {
      throw new InputError(
        "invalid_value",
        "Cannot trust a proxy because it must be a number of proxies, an IP address or a network such as 10.0.0.0/8: " +
          `current value is "${value}"`,
      );
    }
  }
  return (address, hops) =>
    hops < count || isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/**
 * Parses the path that the server is mounted at.
 *
 * @param path The path, e.g. `/pixstage`, with or without leading and trailing slashes.
 * @returns The path with a leading and no trailing slash; `""` for the root.
 * @throws {InputError} if it contains characters with a special meaning in URLs.
 */
export function parseBasePath(path: string): string {
  const trimmed = path.replace(/^\/*(.*?)\/*$/, "/$1");
  if (trimmed === "/") return "";
  if (PREFIX.test(trimmed)) return trimmed;
  throw new InputError(
    "invalid_value",
    `Cannot use the base path because it must have the form /pixstage: current value is "${path}"`,
  );
}

/**
 * Returns the address under which a client sent a request.
 *
 * @param request The request.
 * @param peer The remote end of the connection: the client, or the nearest proxy.
 * @param options The trusted proxies and the default path.
 */
export function publicAddress(
  request: Request,
  peer: PeerAddress | undefined,
  { trust, basePath }: PublicAddressOptions,
): PublicAddress {
  const { headers } = request;
  const nearest = peer?.hostname === undefined ? undefined : plainAddress(peer.hostname);
  const direct: PublicAddress = {
    client: nearest,
    protocol: request.url.startsWith("https:") ? "https" : "http",
    host: parseHost(headers.get("host") ?? /^https?:\/\/([^/?#]*)/.exec(request.url)?.[1]),
    prefix: basePath,
  };
  if (!trust || nearest === undefined || !trust(nearest, 0)) return direct;

  // Each list names the nearest proxy last. A client may have sent the beginning of a list itself.
  const forwarded = forwardedHeaders(headers);
  const chain = [...forwarded.client, nearest];
  let hops = 1;
  while (hops < chain.length - 1 && trust(chain.at(-1 - hops)!, hops)) hops += 1;
  const nth = (values: readonly string[]): string | undefined => values.at(-Math.min(hops, values.length));
  const protocol = nth(forwarded.protocol)?.toLowerCase();
  const prefix = nth(forwarded.prefix)?.replace(/\/+$/, "");
  const host = nth(forwarded.host);
  const client = chain.at(-1 - hops);
  return {
    client: client !== undefined && isIP(client) ? client : nearest,
    protocol: protocol === "https" || protocol === "http" ? protocol : direct.protocol,
    host: host === undefined ? direct.host : parseHost(host),
    prefix: prefix === "" || prefix !== undefined && PREFIX.test(prefix) ? prefix : basePath,
  };
}

/**
 * Returns the origin of a request: the connection's remote end, or the client behind the trusted proxies.
 */
export function clientAddr(
  peer: PeerAddress | undefined,
  { client }: Pick<PublicAddress, "client">,
): PeerAddress | undefined {
  if (client === undefined || peer?.hostname === undefined) return peer;
  return { ...peer, hostname: client };
}

/** Strips the server's mount path from a request's path. A proxy may already have stripped it. */
export function pathBelow(path: string, prefix: string): string {
  return prefix !== "" && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
}

/** The proxies' headers. Each list is in the order in which the request passed the proxies. */
interface Forwarded {
  readonly client: readonly string[];
  readonly protocol: readonly string[];
  readonly host: readonly string[];
  readonly prefix: readonly string[];
}

/**
 * Reads the proxies' headers. Uses `Forwarded` (RFC 7239) only if the others are absent, because proxies that
 * write the others pass on any `Forwarded` header that a client sends.
 */
function forwardedHeaders(headers: Headers): Forwarded {
  const list = (name: string): string[] =>
    (headers.get(name) ?? "").split(",").map((text) => text.trim()).filter((text) => text !== "");
  const prefix = list("x-forwarded-prefix");
  const [client, protocol, host] = [
    list("x-forwarded-for").map(plainAddress),
    list("x-forwarded-proto"),
    list("x-forwarded-host"),
  ];
  if (client.length + protocol.length + host.length > 0) return { client, protocol, host, prefix };
  const elements = (headers.get("forwarded") ?? "").match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  const named = (name: string): string[] =>
    elements.flatMap((element) => {
      const pattern = new RegExp(`(?:^|;)\\s*${name}=(?:"([^"]*)"|([^;"\\s]*))`, "i");
      const [, quoted, token] = pattern.exec(element) ?? [];
      return quoted ?? token ?? [];
    });
  return { client: named("for").map(plainAddress), protocol: named("proto"), host: named("host"), prefix };
}

/** Returns an IP address without its port, brackets, and IPv4-in-IPv6 prefix. */
function plainAddress(text: string): string {
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return /^::ffff:([\d.]+)$/i.exec(bare)?.[1] ?? bare;
}

function parseHost(host: string | undefined): string | undefined {
  return host !== undefined && HOST.test(host) ? host.toLowerCase() : undefined;
}
