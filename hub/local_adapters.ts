/**
 * LoRA adapters on this machine: files, folders, and the hub's cache.
 *
 * @module
 */

import { stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, resolve } from "node:path";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import { type LoraAdapter, openAdapter } from "../models/lora/adapter.ts";
import { AdapterError } from "../models/lora/adapter_error.ts";
import { EMBEDDED_LORAS, embeddedLoraFolder } from "./embedded_model.ts";
import { HubModel, type HubModelOptions } from "./hub_model.ts";
import { HUB_NAME, splitRevision } from "./hub_name.ts";

/**
 * Opens a LoRA adapter. A file or folder takes precedence over a name on the hub.
 *
 * @param reference A safetensors file, a folder, `org/name` or `org/name@revision` on the hub, or the name of
 * an adapter that comes with the project, e.g. `pixstage-emoji/chalk`.
 * @param options How to download it.
 * @returns The adapter. The files of one on the hub are then in the cache.
 * @throws {AdapterError} if there is no such adapter, or it is not usable.
 * @throws {HubError} if it is neither on the hub nor in the cache.
 */
export async function openLocalAdapter(
  reference: string,
  options: Omit<HubModelOptions, "revision"> = {},
): Promise<LoraAdapter> {
  if (EMBEDDED_LORAS.includes(reference)) {
    return await openAdapter(await openDiskSource(embeddedLoraFolder(reference)), { name: reference });
  }
  const path = resolve(reference);
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return await openAdapter(await openDiskSource(path));
  if (found) {
    const file = basename(path);
    return await openAdapter(await openDiskSource(dirname(path)), { file, name: file });
  }
  const { name, revision } = splitRevision(reference);
  if (!isAbsolute(reference) && HUB_NAME.test(name)) {
    const model = await HubModel.open(name, { ...options, revision });
    return await openAdapter(await model.adapter(options.signal), { name });
  }
  throw new AdapterError(
    `Cannot find the LoRA ${
      JSON.stringify(reference)
    }: it must be a safetensors file, a folder, or a name on the hub ` +
      `such as PixArt-alpha/PixArt-LCM-LoRA-XL-2-1024-MS, but ${path} does not exist`,
    { code: "adapter_not_found" },
  );
}
