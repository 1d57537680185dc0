/**
 * Finds what a model's name stands for.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { InputError } from "../errors/pixstage_error.ts";
import { HubModel, type HubModelOptions } from "./hub_model.ts";

/** A name on the hub: letters, digits, `-`, `_` and `.`, not at the ends; no `--` and no `..`. */
const HUB_NAME = /^(?!.*(--|\.\.))[\w](?:[\w.-]{0,94}[\w])?\/[\w](?:[\w.-]{0,94}[\w])?$/;

/**
 * Finds what a model's name stands for: a folder on disk, or a model on the hub. A folder of that name beats the hub.
 *
 * @param reference A path, or a name on the hub: `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`. What begins with `.` or `/`
 * or has more than one `/` is a path.
 * @param options Which revision of a model on the hub, and where the cache is.
 * @returns The folder's absolute path, or the model on the hub, of which no file is fetched yet.
 * @throws {InputError} if it is neither a folder nor a name that the hub could know.
 * @throws {HubError} if the hub has no such model, or it is neither to be had nor in the cache.
 *
 * @example A folder
 * ```ts
 * import { resolveModel } from "./resolve_model.ts";
 * const folder = await resolveModel(".");
 * if (folder !== Deno.cwd()) throw new Error("unexpected");
 * ```
 */
export async function resolveModel(
  reference: string,
  options: HubModelOptions = {},
): Promise<string | HubModel> {
  const path = resolve(reference);
  const found = reference === "" ? undefined : await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return path;
  if (found === undefined && !isAbsolute(reference) && HUB_NAME.test(reference)) {
    return await HubModel.open(reference, options);
  }
  throw new InputError(
    "model_not_found",
    `Cannot find the model ${
      JSON.stringify(reference)
    } as it must be a folder on disk or a name on the hub such as ` +
      `PixArt-alpha/PixArt-Sigma-XL-2-512-MS: ${path} is ${found === undefined ? "not there" : "a file"}`,
  );
}
