/**
 * The environment variables that change what pixstage does, without their secrets.
 *
 * @module
 */

import process from "node:process";

/** Variables with a value that can be shown. */
const SHOWN = [
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_ENDPOINT",
  "HF_HUB_OFFLINE",
  "HF_TOKEN_PATH",
  "HF_HUB_ETAG_TIMEOUT",
  "HF_HUB_DOWNLOAD_TIMEOUT",
  "XDG_CACHE_HOME",
  "PIXSTAGE_STORE",
  "PIXSTAGE_QUANTIZED",
  "AWS_REGION",
  "AWS_ENDPOINT_URL",
  "CUDA_VISIBLE_DEVICES",
  "CUDA_DEVICE_ORDER",
  "NVIDIA_TF32_OVERRIDE",
  "LD_LIBRARY_PATH",
  "MALLOC_ARENA_MAX",
  "NODE_USE_ENV_PROXY",
] as const;

/** Variables whose values are secret. */
const SECRET = [
  "HF_TOKEN",
  "PIXSTAGE_API_KEY",
  "PIXSTAGE_TOKEN",
  "PIXSTAGE_QUEUE_PASSWORD",
  "PIXSTAGE_WEBHOOK_SECRET",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
] as const;

/** Variables that name a proxy, in both spellings. */
export const PROXIES: readonly string[] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].flatMap(bothSpellings);

/** Variables that name the hosts that are reached without a proxy. pixstage always adds this machine. */
const EXCEPTIONS: readonly string[] = bothSpellings("NO_PROXY");

/** Text shown instead of a secret. */
const SET = "(set)";

/**
 * Returns the variables that are set. `(set)` stands in for secrets, and credentials are removed from
 * addresses.
 */
export function shownEnvironment(): Readonly<Record<string, string>> {
  const { env } = process;
  const proxies = PROXIES.some((name) => env[name]) ? [...PROXIES, ...EXCEPTIONS] : [];
  const shown = [...SHOWN, ...proxies].map((name) => [name, withoutCredentials(env[name] ?? "")]);
  const secret = SECRET.map((name) => [name, env[name] ? SET : ""]);
  return Object.fromEntries([...shown, ...secret].filter(([, value]) => value !== ""));
}

/** Removes the user and the password of an address: they end at the last `@` before the path. */
function withoutCredentials(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, "$1");
}

function bothSpellings(name: string): readonly string[] {
  return [name, name.toLowerCase()];
}
