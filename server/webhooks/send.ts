import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { publicLookup } from "./allowed_hosts.ts";

/** Milliseconds that a receiver has to answer. */
const TIMEOUT_MS = 20_000;

/**
 * Sends a webhook. Does not follow redirects, which could lead to any address.
 *
 * @param address The receiver's URL.
 * @param body The body, JSON.
 * @param headers The signature headers.
 * @returns The status of the answer.
 * @throws {Error} if there is no answer, or the name resolves to a private address.
 */
export async function sendWebhook(
  address: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const { protocol, hostname, port, host, pathname, search } = new URL(address);
  const name = hostname.replace(/^\[(.*)\]$/, "$1");
  const request = protocol === "https:" ? requestHttps : requestHttp;
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request({
    method: "POST",
    hostname: name,
    port: port || (protocol === "https:" ? 443 : 80),
    path: pathname + search,
    headers: {
      host,
      "content-type": "application/json",
      "content-length": String(new TextEncoder().encode(body).length),
      "user-agent": "pixstage",
      connection: "close",
      ...headers,
    },
    agent: false,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    // The operator allowed an IP address or this machine explicitly.
    ...(isIP(name) || name === "localhost" ? {} : { lookup: publicLookup }),
  }, (answer) => {
    resolve(answer.statusCode ?? 0);
    answer.destroy();
  });
  sent.on("error", reject);
  sent.end(body);
  return await promise;
}
