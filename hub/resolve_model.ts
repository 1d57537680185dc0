/**
 * Finds the folder that a model's name stands for.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { downloadModel, type DownloadOptions } from "./download_model.ts";

/** How a model's name is resolved. */
export type ResolveModelOptions = DownloadOptions;

/** A name on the hub: letters, digits, `-`, `_` and `.`, not at the ends; no `--` and no `..`. */
const HUB_NAME = /^(?!.*(--|\.\.))[\w](?:[\w.-]{0,94}[\w])?\/[\w](?:[\w.-]{0,94}[\w])?$/;

/**
 * Finds the folder that a model's name stands for: a folder on disk, or a model on the hub, which is downloaded
 * unless the cache has it. A folder of that name beats the hub.
 *
 * @param reference A path, or a name on the hub: `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`. What begins with `.` or `/`
 * or has more than one `/` is a path.
 * @param options Which revision and variant to download, and where to.
 * @returns The folder's absolute path.
 * @throws {RangeError} if it is neither a folder nor a name that the hub could know.
 * @throws {HubError} if it cannot be downloaded.
 *
 * @example A folder
 * ```ts
 * import { resolveModel } from "./resolve_model.ts";
 * const folder = await resolveModel(".");
 * if (folder !== Deno.cwd()) throw new Error("unexpected");
 * ```
 */
export async function resolveModel(reference: string, options: ResolveModelOptions = {}): Promise<string> {
  const path = resolve(reference);
  const found = reference === "" ? undefined : await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return path;
  if (found === undefined && !isAbsolute(reference) && HUB_NAME.test(reference)) {
    return await downloadModel(reference, options);
  }
  throw new RangeError(
    `Cannot find the model ${
      JSON.stringify(reference)
    } as it must be a folder on disk or a name on the hub such as ` +
      `PixArt-alpha/PixArt-Sigma-XL-2-512-MS: ${path} is ${found === undefined ? "not there" : "a file"}`,
  );
}
