/**
 * The hosts that may receive webhooks, and the addresses that their names may resolve to.
 *
 * @module
 */

import { lookup as systemLookup } from "node:dns/promises";
import { BlockList, isIP, isIPv6, type LookupFunction } from "node:net";
import { InputError, PixstageError } from "../../errors/pixstage_error.ts";

/**
 * Networks that are not part of the public internet: those of RFC 6890, and those that embed other addresses.
 */
const PRIVATE: readonly (readonly [network: string, bits: number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
  ["::", 127],
  ["64:ff9b::", 32],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
];

const privateNetworks = new BlockList();
for (const [network, bits] of PRIVATE) privateNetworks.addSubnet(network, bits, family(network));

/** Default ports, for a host that is allowed without a port. */
const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

const NAME = /^[a-z\d_-]+(?:\.[a-z\d_-]+)*$/;

/** An allowed host: its name or address, and its port if it is not the protocol's default. */
interface AllowedHost {
  readonly hostname: string;
  readonly port: string;
}

/** The hosts that may receive webhooks. */
export class AllowedHosts {
  #hosts: readonly AllowedHost[];

  /**
   * @param hosts Names or IP addresses, with a port if it is not the protocol's default: `hooks.example`,
   * `127.0.0.1:5678`, `[::1]:5678`.
   * @throws {InputError} if one is malformed.
   */
  constructor(hosts: readonly string[]) {
    this.#hosts = hosts.map(parseHost);
  }

  /** Whether no host is allowed. */
  get isEmpty(): boolean {
    return this.#hosts.length === 0;
  }

  /** Whether a URL may receive webhooks. */
  allows(address: string): boolean {
    const url = URL.parse(address);
    if (!url || !(url.protocol in DEFAULT_PORTS) || url.username !== "" || url.password !== "") return false;
    const { hostname } = url;
    return this.#hosts.some((host) =>
      host.hostname === hostname &&
      (host.port || DEFAULT_PORTS[url.protocol]) === (url.port || DEFAULT_PORTS[url.protocol])
    );
  }
}

function parseHost(text: string): AllowedHost {
  const url = URL.parse(`http://${text}`);
  const [, port = ""] = /:(\d+)$/.exec(text) ?? [];
  const isWhole = url && url.pathname === "/" && url.search + url.hash + url.username === "";
  if (isWhole && (isIP(plain(url.hostname)) || NAME.test(url.hostname))) {
    return { hostname: url.hostname, port };
  }
  throw new InputError(
    "invalid_value",
    `It must be a host's name or IP address, with or without a port: current value is ${
      JSON.stringify(text)
    }`,
  );
}

/** Whether an address is private, belongs to this machine, or is not an IP address. */
export function isPrivate(address: string): boolean {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return isPrivate(mapped);
  // `BlockList` treats networks of IPv4-mapped addresses as networks of IPv4 itself.
  return isIP(address) === 0 || /^::ffff:/i.test(address) || privateNetworks.check(address, family(address));
}

/**
 * Resolves a name to the address that the request then connects to. This defeats names that resolved to
 * another address when they were checked. An allowed name must resolve to a public address; an operator
 * allows a private address explicitly.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  systemLookup(hostname, { all: true, family: options.family ?? 0 }).then((found) => {
    const addresses = found.filter(({ address }) => !isPrivate(address));
    const [first] = addresses;
    if (!first) {
      const message =
        `Cannot send the webhook because ${hostname} does not resolve to a public address: allow its IP address instead`;
      return callback(new PixstageError("webhook_not_allowed", message), "");
    }
    if (options.all) callback(null, addresses);
    else callback(null, first.address, first.family);
  }, (error) => callback(error, ""));
};

function plain(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function family(address: string): "ipv4" | "ipv6" {
  return isIPv6(address) ? "ipv6" : "ipv4";
}
