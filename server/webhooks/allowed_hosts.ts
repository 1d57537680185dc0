/**
 * The hosts that webhooks may be sent to, and the addresses that their names may lead to.
 *
 * @module
 */

import { lookup as systemLookup } from "node:dns/promises";
import { BlockList, isIP, isIPv6, type LookupFunction } from "node:net";
import { InputError, PixstageError } from "../../errors/pixstage_error.ts";

/** Networks that are nobody's on the internet: RFC 6890, and those that stand for others. */
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

/** Ports of a host that is allowed without one. */
const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

const NAME = /^[a-z\d_-]+(?:\.[a-z\d_-]+)*$/;

/** A host that is allowed: its name or address, and its port where that is not the protocol's own. */
interface AllowedHost {
  readonly hostname: string;
  readonly port: string;
}

/** The hosts that webhooks may be sent to. */
export class AllowedHosts {
  #hosts: readonly AllowedHost[];

  /**
   * @param hosts Names or IP addresses, each with a port where it is not that of its protocol: `hooks.example`,
   * `127.0.0.1:5678`, `[::1]:5678`.
   * @throws {InputError} if one is none of these.
   */
  constructor(hosts: readonly string[]) {
    this.#hosts = hosts.map(parseHost);
  }

  /** Whether there are any. */
  get isEmpty(): boolean {
    return this.#hosts.length === 0;
  }

  /** Whether a webhook may be sent to an address. */
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

/** Whether an address is of this machine, of a private network, or of none. */
export function isPrivate(address: string): boolean {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return isPrivate(mapped);
  // The list takes networks of mapped addresses for those of IPv4 itself.
  return isIP(address) === 0 || /^::ffff:/i.test(address) || privateNetworks.check(address, family(address));
}

/**
 * Resolves a name to the address that is then connected to, so that a name which led elsewhere when it was checked
 * gets nothing. A name that was allowed must lead to the internet: an operator allows a private address by itself.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  systemLookup(hostname, { all: true, family: options.family ?? 0 }).then((found) => {
    const addresses = found.filter(({ address }) => !isPrivate(address));
    const [first] = addresses;
    if (!first) {
      const message =
        `Cannot send the webhook as ${hostname} must lead to a public address: allow its IP address instead`;
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
