/**
 * The hub's address, its cache and the access token: from options, or from the environment variables of
 * Hugging Face's own tools.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { getHFHubCachePath } from "@huggingface/hub";

/** Options for using the hub and its cache. */
export interface HubOptions {
  /** The hub's address. The default is `HF_ENDPOINT`, else `https://huggingface.co`. */
  readonly endpoint?: string | undefined;
  /**
   * The access token. The default is `HF_TOKEN`, else the content of `HF_TOKEN_PATH`, else of
   * `HF_HOME/token`.
   */
  readonly token?: string | undefined;
  /** The cache folder. The default is `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`. */
  readonly cacheDir?: string | undefined;
  /** Whether only the cache is used. The default is whether `HF_HUB_OFFLINE` is set. */
  readonly localFilesOnly?: boolean | undefined;
  /**
   * Milliseconds of silence after which a connection is abandoned. The default is `HF_HUB_ETAG_TIMEOUT`
   * seconds, else 10 s, for requests to the API, and `HF_HUB_DOWNLOAD_TIMEOUT` seconds, else 20 s, for
   * files.
   */
  readonly stallTimeout?: number | undefined;
}

/** Options with the environment's defaults filled in. */
export interface HubSettings {
  /** The hub's address, without a trailing slash. */
  readonly endpoint: string;
  /** The access token, if there is one. */
  readonly token: string | undefined;
  /** The source of the token, for messages: `HF_TOKEN`, or the path of a file. */
  readonly tokenSource: string | undefined;
  /** The cache folder. */
  readonly cacheDir: string;
  /** Whether only the cache is used. */
  readonly localFilesOnly: boolean;
  /** Milliseconds without an answer after which a request to the hub is abandoned. */
  readonly answerTimeout: number;
  /** Milliseconds of silence after which a download continues over another connection. */
  readonly downloadTimeout: number;
}

/** The hub's address, and the token for it. */
export type HubAccess = Pick<HubSettings, "endpoint" | "token" | "tokenSource">;

const HUB = "https://huggingface.co";
const TRUE = /^(1|on|yes|true)$/i;

/**
 * Fills in the defaults of the environment.
 *
 * @param options The explicit settings.
 * @returns All settings.
 */
export async function hubSettings(options: HubOptions = {}): Promise<HubSettings> {
  const { env } = process;
  const { stallTimeout } = options;
  return {
    endpoint: (options.endpoint ?? (env.HF_ENDPOINT || HUB)).replace(/\/+$/, ""),
    ...await findToken(options.token),
    cacheDir: hubCacheFolder(options.cacheDir),
    localFilesOnly: options.localFilesOnly ?? TRUE.test(env.HF_HUB_OFFLINE ?? ""),
    answerTimeout: stallTimeout ?? milliseconds(env.HF_HUB_ETAG_TIMEOUT) ?? 10_000,
    downloadTimeout: stallTimeout ?? milliseconds(env.HF_HUB_DOWNLOAD_TIMEOUT) ?? 20_000,
  };
}

/** Returns the hub's cache folder: the given one, or else the environment's. */
export function hubCacheFolder(given?: string): string {
  return given ?? getHFHubCachePath();
}

/** Converts the seconds of a variable, or returns `undefined` unless they are a positive number. */
function milliseconds(seconds: string | undefined): number | undefined {
  const value = Number(seconds) * 1000;
  return value > 0 && value < Infinity ? value : undefined;
}

/** Finds the token: that of the option, that of the environment, or the one stored by `hf auth login`. */
async function findToken(option: string | undefined): Promise<Pick<HubSettings, "token" | "tokenSource">> {
  if (option !== undefined) return { token: option, tokenSource: "the option token" };
  const { HF_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  if (HF_TOKEN) return { token: HF_TOKEN, tokenSource: "HF_TOKEN" };
  const home = HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "huggingface");
  const path = HF_TOKEN_PATH ?? join(home, "token");
  const token = (await readFile(path, "utf8").catch(() => "")).trim();
  return token === "" ? { token: undefined, tokenSource: undefined } : { token, tokenSource: path };
}
