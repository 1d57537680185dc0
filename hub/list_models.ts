/**
 * The models that are on this machine: the embedded one, and those in the hub's cache.
 *
 * @module
 */

import { scanCacheDir } from "@huggingface/hub";
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { hubSettings } from "./hub_settings.ts";
import { DEFAULT_MODEL, embeddedModelFolder } from "./local_models.ts";

/** A model that is on this machine. */
export interface ListedModel {
  /** What `--model` takes. */
  readonly name: string;
  /** Its folder. */
  readonly folder: string;
  /** Bytes of its files. */
  readonly bytes: number;
}

/**
 * Lists the models of this machine that a run can take.
 *
 * @param options Where the hub's cache is; as for downloads otherwise.
 * @returns The embedded model first, then the cached ones by name.
 */
export async function listModels(options: { readonly cacheDir?: string } = {}): Promise<ListedModel[]> {
  const { cacheDir } = await hubSettings(options);
  const embedded = embeddedModelFolder();
  const models: ListedModel[] = existsSync(join(embedded, "model_index.json"))
    ? [{ name: DEFAULT_MODEL, folder: embedded, bytes: await folderBytes(embedded) }]
    : [];
  if (!existsSync(cacheDir)) return models;
  const { repos } = await scanCacheDir(cacheDir);
  const cached = repos.flatMap(({ id, revisions }) =>
    revisions
      .filter(({ path }) => existsSync(join(path, "model_index.json")))
      .map(({ path, size, refs, commitOid }) => ({
        name: refs.includes("main") ? id.name : `${id.name}@${refs[0] ?? commitOid}`,
        folder: path,
        bytes: size,
      }))
  );
  return [...models, ...cached.sort((a, b) => a.name < b.name ? -1 : 1)];
}

/** Bytes of all files below a folder. */
async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
