// This module is browser compatible.

/**
 * A checkpoint on an HTTP server: a hub, a private server or a bucket. Weights are fetched on demand with
 * range requests.
 *
 * @module
 */

import { fetchBytes } from "../../network/fetch_bytes.ts";
import { CheckpointError } from "./checkpoint_errors.ts";
import type { CheckpointSource, FileLocation } from "./source.ts";

/** Options for opening an HTTP source. */
export interface HttpSourceOptions {
  /** Sizes in bytes of all files, by path. Required because HTTP cannot list a folder. */
  readonly files: Readonly<Record<string, number>>;
  /** Name for errors and reports. The default is the last part of the URL. */
  readonly name?: string;
  /**
   * The fetch function. Replace it to add authorization, caching or retries.
   *
   * @default {fetch}
   */
  readonly fetch?: typeof fetch;
}

/**
 * Opens a checkpoint on an HTTP server. Files are fetched only on request. The server must support `Range`.
 *
 * @param url URL of the checkpoint's folder.
 * @param options The files there, and how to fetch them.
 * @returns The source.
 *
 * @example A checkpoint on the hub
 * ```ts ignore
 * // not run: asks the Hugging Face hub
 * import { listFiles } from "@huggingface/hub";
 * import { openHttpSource } from "./http_source.ts";
 *
 * const repo = "PixArt-alpha/PixArt-XL-2-512x512";
 * const files = await Array.fromAsync(listFiles({ repo, recursive: true }));
 * const source = openHttpSource(`https://huggingface.co/${repo}/resolve/main/`, {
 *   files: Object.fromEntries(files.map(({ path, size }) => [path, size])),
 * });
 * ```
 */
export function openHttpSource(url: string, options: HttpSourceOptions): CheckpointSource {
  return new HttpSource(new URL(url.endsWith("/") ? url : `${url}/`), options);
}

class HttpSource implements CheckpointSource {
  readonly name: string;
  readonly #url: URL;
  readonly #files: ReadonlyMap<string, number>;
  readonly #fetch: typeof fetch;

  constructor(url: URL, options: HttpSourceOptions) {
    this.#url = url;
    this.#files = new Map(Object.entries(options.files));
    this.#fetch = options.fetch ?? ((...request) => fetch(...request));
    this.name = options.name ?? url.pathname.split("/").at(-2) ?? url.host;
  }

  list(folder: string): Promise<readonly string[]> {
    const prefix = folder === "" ? "" : `${folder}/`;
    const names = [...this.#files.keys()].filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    return Promise.resolve(names.filter((name) => !name.includes("/")).sort());
  }

  exists(path: string): Promise<boolean> {
    return Promise.resolve(
      [...this.#files.keys()].some((known) => known === path || known.startsWith(`${path}/`)),
    );
  }

  size(path: string): Promise<number> {
    const size = this.#files.get(path);
    if (size !== undefined) return Promise.resolve(size);
    return Promise.reject(new CheckpointError(`Cannot find ${path} among the files of ${this.name}`));
  }

  async readText(path: string): Promise<string> {
    return new TextDecoder().decode(await this.readBytes(path));
  }

  async readBytes(path: string, start = 0, end?: number): Promise<Uint8Array<ArrayBuffer>> {
    const size = await this.size(path);
    const last = end ?? size;
    if (start === last) return new Uint8Array();
    const whole = start === 0 && last === size;
    return await fetchBytes(this.#fetch, new URL(path, this.#url), whole ? undefined : { start, end: last });
  }

  locate(path: string): Promise<FileLocation> {
    return Promise.resolve({ folder: this.#url.href, file: path, isRemote: true });
  }
}
