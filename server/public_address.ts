/**
 * The address under which a client reaches the server. Trusted reverse proxies send it in
 * `Forwarded` or in the `X-Forwarded-` headers; nobody else is believed.
 *
 * @module
 */

import { BlockList, isIP, isIPv6 } from "node:net";
import { InputError } from "../errors/pixstage_error.ts";

/** The other end of a connection, as `Deno.serve` tells it too. */
export interface PeerAddress {
  /** `tcp`, or another transport. */
  readonly transport: string;
  /** Its IP address; undefined where it has none, as at a socket of the file system. */
  readonly hostname?: string | undefined;
  /** Its port. */
  readonly port?: number | undefined;
}

/** How a client addressed the server. */
export interface PublicAddress {
  /** The IP address of the client; undefined where the connection has none. */
  readonly client: string | undefined;
  /** The protocol that the client spoke. */
  readonly protocol: "http" | "https";
  /** Name and port as the client wrote them, in lower case; undefined where they are no host. */
  readonly host: string | undefined;
  /** The path under which the server lies, without a slash at its end: `/pixstage`, or nothing. */
  readonly prefix: string;
}

/**
 * Whether to believe what a proxy says: its address, and how many proxies stand between it and the server.
 */
export type ProxyTrust = (address: string, hops: number) => boolean;

/** Where the server stands. */
export interface PublicAddressOptions {
  /** The proxies to believe; none otherwise. */
  readonly trust?: ProxyTrust | undefined;
  /** The path under which the server lies unless a trusted proxy names another; `""` for the root. */
  readonly basePath: string;
}

const HOST = /^(?:\[[0-9a-f:.]{2,45}\]|[\p{L}\p{N}._-]{1,253})(?::\d{1,5})?$/iu;
const PREFIX = /^(?:\/[\w.~-]+)+$/;

/**
 * Reads which proxies to trust.
 *
 * @param values Each the number of proxies before the server, an IP address, or a network as `10.0.0.0/8`; or
 * several with commas between them.
 * @returns Whether a proxy is trusted; undefined where there are no values.
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
        "Cannot trust a proxy as it must be a number of proxies, an IP address or a network such as 10.0.0.0/8: " +
          `current value is "${value}"`,
      );
    }
  }
  return (address, hops) =>
    hops < count || isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/**
 * Reads the path under which the server lies.
 *
 * @param path The path: `/pixstage`, with or without slashes at its ends.
 * @returns The path with a slash at its beginning and none at its end; `""` for the root.
 * @throws {InputError} if it holds characters that mean something in addresses.
 */
export function parseBasePath(path: string): string {
  const trimmed = path.replace(/^\/*(.*?)\/*$/, "/$1");
  if (trimmed === "/") return "";
  if (PREFIX.test(trimmed)) return trimmed;
  throw new InputError(
    "invalid_value",
    `Cannot serve under a path as it must be like /pixstage: current value is "${path}"`,
  );
}

/**
 * The address under which a client sent a request.
 *
 * @param request The request.
 * @param peer Where the connection comes from: the client, or the nearest proxy.
 * @param options Where the server stands.
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

  // The nearest proxy is the last that each list names. A client may have sent the beginning of the lists
  // itself.
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

/** Where a request came from: the connection's other end, or the client behind the trusted proxies. */
export function clientAddr(
  peer: PeerAddress | undefined,
  { client }: Pick<PublicAddress, "client">,
): PeerAddress | undefined {
  if (client === undefined || peer?.hostname === undefined) return peer;
  return { ...peer, hostname: client };
}

/** The path of a request below the one under which the server lies. A proxy may have removed that already. */
export function pathBelow(path: string, prefix: string): string {
  return prefix !== "" && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
}

/** The headers of proxies, each a list in the order in which the request passed the proxies. */
interface Forwarded {
  readonly client: readonly string[];
  readonly protocol: readonly string[];
  readonly host: readonly string[];
  readonly prefix: readonly string[];
}

/**
 * Reads the headers of proxies. `Forwarded` (RFC 7239) counts where there is no other alone: proxies that
 * write the others pass on whatever a client puts there.
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

/** An IP address without its port, its brackets, and the form that IPv4 has in IPv6. */
function plainAddress(text: string): string {
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  return /^::ffff:([\d.]+)$/i.exec(bare)?.[1] ?? bare;
}

function parseHost(host: string | undefined): string | undefined {
  return host !== undefined && HOST.test(host) ? host.toLowerCase() : undefined;
}
