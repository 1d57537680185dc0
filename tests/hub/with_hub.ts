/**
 * A hub with an empty cache, and complete downloads of models.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import { cp, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { HubModelOptions } from "../../hub/hub_model.ts";
import { LocalModels, type LocalModelsOptions, resolveModel } from "../../hub/local_models.ts";
import { loneComponent } from "../../models/checkpoint/component.ts";
import { COMPONENT_NAMES, type ComponentName } from "../../models/checkpoint/model_index.ts";
import { withVariables } from "../environment.ts";
import { tinyCheckpoint, withCopy, withFolder } from "../models/checkpoint/copies.ts";
import { commitOf, hashOf, type HubServer, type HubServerOptions, startHub } from "./hub_server.ts";

// A developer's token must not be used.
const variables = withVariables({ HF_TOKEN: undefined, HF_TOKEN_PATH: "/dev/null" });
globalThis.addEventListener("unload", () => variables[Symbol.dispose]());

/** The hub's default model. */
export const MODEL = "org/tiny";

/** The folder of the default model. */
export const TINY: string = tinyCheckpoint("tiny-alpha-512");

export const TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors";
export const VAE = "vae/diffusion_pytorch_model.safetensors";
export const TEXT = "text_encoder/model.safetensors";

/** Which files of a model to download. */
export interface FetchOptions extends HubModelOptions {
  /** Variant of the weights. The default is none. */
  readonly variant?: string;
  /** Components whose weights to download. The default is all. */
  readonly components?: readonly ComponentName[];
}

/** Downloads a model. Returns the folder of its snapshot. */
export async function fetchModel(reference: string, options: FetchOptions = {}): Promise<string> {
  const { variant = "", components = COMPONENT_NAMES, ...more } = options;
  const model = await resolveModel(reference, more);
  if (typeof model === "string") return model;
  const { source, findWeights } = await model.files(variant, options.signal);
  const lone = await loneComponent(source);
  if (lone) await findWeights(lone, "");
  for (const name of components) {
    if (await source.exists(`${name}/config.json`)) await findWeights(name, name);
  }
  return model.folder;
}

/** A hub and a cache. */
export interface Hub {
  readonly server: HubServer;
  /** The cache folder, empty at first. */
  readonly cacheDir: string;
  /** Downloads a model from this hub. */
  resolve(model?: string, options?: FetchOptions): Promise<string>;
  /** Returns the path of a blob of the default model. */
  blob(file: string): string;
}

/** Starts a hub with an empty cache. Its default model is tiny-alpha-512. */
export async function withHub(
  work: (hub: Hub) => Promise<void>,
  options: HubServerOptions = { models: { [MODEL]: { main: tinyCheckpoint("tiny-alpha-512") } } },
): Promise<void> {
  await withFolder(async (cacheDir) => {
    await using server = startHub(options);
    const folder = options.models[MODEL]?.main ?? "";
    await work({
      server,
      cacheDir,
      resolve: (model = MODEL, more = {}) =>
        fetchModel(model, { endpoint: server.endpoint, cacheDir, retryDelay: 5, ...more }),
      blob: (file) => {
        const { oid, lfs } = hashOf(file, readFileSync(join(folder, file)));
        return join(cacheDir, "models--org--tiny/blobs", lfs ?? oid);
      },
    });
  });
}

/** Returns all files in a folder and its subfolders, sorted. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** Returns the weight files in a folder. */
export function weightsOf(folder: string): string[] {
  return filesOf(folder).filter((file) => file.endsWith(".safetensors"));
}

/** Waits until a part of a blob exists. */
export async function whenBegun(blob: string): Promise<void> {
  const isBegun = () => stat(`${blob}.incomplete`).then(({ size }) => size > 0, () => false);
  while (!await isBegun()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Returns models as a new process would create them. */
export function models({ server, cacheDir }: Hub, options: LocalModelsOptions = {}): LocalModels {
  return new LocalModels({ endpoint: server.endpoint, cacheDir, retryDelay: 5, ...options });
}

/** Returns the folder of a snapshot of the default model. */
export function snapshot({ cacheDir }: Hub, revision = "main"): string {
  return join(cacheDir, "models--org--tiny/snapshots", commitOf(MODEL, revision));
}

/** Returns the requests to the hub that are not for files. */
export function questions({ server }: Hub): readonly string[] {
  return server.requests.map(({ path }) => path).filter((path) => path.startsWith("/api/"));
}

/** Downloads the weights of a component of the default model. Returns the names of the files. */
export async function fileOf(
  local: LocalModels,
  component: ComponentName,
  variant?: string,
): Promise<string> {
  const opened = await local.component({ model: MODEL, variant }, component);
  await opened.weights();
  return (await opened.weightFiles()).paths.join();
}

/** Copies the tiny checkpoint, and renames or copies files to a variant. */
export async function withVariants(
  variants: Readonly<Record<string, "renamed" | "copied">>,
  work: (copy: string) => Promise<void>,
): Promise<void> {
  await withCopy(TINY, async (copy) => {
    for (const [file, how] of Object.entries(variants)) {
      const to = join(copy, file.replace(".safetensors", ".fp16.safetensors"));
      await (how === "renamed" ? rename : cp)(join(copy, file), to);
    }
    await work(copy);
  });
}
