/**
 * Proxies between this machine and servers, as set in the environment variables of Deno and Node.
 *
 * @module
 */

import process from "node:process";
import { permissionError } from "../errors/permission_error.ts";
import { fetchFailure } from "./fetch_failure.ts";

const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

/**
 * Makes requests to this machine bypass the proxy, as browsers do, because a remote proxy cannot reach this
 * machine. Call it before any request.
 */
export function bypassProxyOnLoopback(): void {
  const { env } = process;
  env.NO_PROXY = [...new Set([...exceptions(), ...LOOPBACK])].join(",");
}

/**
 * Names the proxy that a request may have gone through.
 *
 * @param url The URL of the request.
 * @returns E.g. `HTTP_PROXY is set to http://proxy:3128`, or `undefined` if no variable sets a proxy for this
 * URL.
 */
export function proxyInUse(url: URL): string | undefined {
  const { env } = process;
  const excepted = exceptions();
  if (excepted.includes("*") || excepted.includes(url.hostname.replace(/^\[|\]$/g, ""))) return undefined;
  const scheme = url.protocol.slice(0, -1);
  const names = [`${scheme}_proxy`, "all_proxy"].flatMap((name) => [name.toUpperCase(), name]);
  const name = names.find((name) => env[name]);
  // The address of a proxy can contain a password.
  return name && `${name} is set to ${env[name]!.replace(/\/\/[^/@]*@/, "//")}`;
}

/** Returns the hosts that are reached without a proxy. */
function exceptions(): readonly string[] {
  const { NO_PROXY, no_proxy } = process.env;
  return (NO_PROXY ?? no_proxy ?? "").split(",").map((host) => host.trim()).filter((host) => host !== "");
}

/** Calls `fetch`. If it fails and a proxy may be the reason, the error names the proxy. */
export async function fetchNamingProxy(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (cause) {
    const refusal = permissionError(cause);
    if (refusal) throw refusal;
    const proxy = proxyInUse(new URL(request.url));
    if (proxy === undefined || request.signal.aborted) throw cause;
    throw new Error(`${fetchFailure(cause)}; ${proxy}`, { cause });
  }
}
