/**
 * Checkpoints on this machine: the embedded model, folders, and the hub's cache.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { InputError, PixstageError } from "../errors/pixstage_error.ts";
import { type Checkpoint, openCheckpoint } from "../models/checkpoint/checkpoint.ts";
import { type Component, type FindWeights, openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import type { ComponentName } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import type { LoraAdapter } from "../models/lora/adapter.ts";
import type { ModelReference, Models, QuantizeOptions } from "../models/models.ts";
import { defaultQuantizedFolder } from "../models/quantization/default_folder.ts";
import { openQuantized } from "../models/quantization/open_quantized.ts";
import { DEFAULT_MODEL, embeddedModelFolder } from "./embedded_model.ts";
import type { RecipeName } from "../models/precision.ts";
import { snapshotModel } from "./hub_cache.ts";
import { HubModel, type HubModelOptions } from "./hub_model.ts";
import { HUB_NAME, splitRevision } from "./hub_name.ts";
import { openLocalAdapter } from "./local_adapters.ts";

export { DEFAULT_MODEL, embeddedModelFolder };

/** Options for finding and downloading models. */
export type LocalModelsOptions = Omit<HubModelOptions, "revision" | "signal">;

/**
 * Opens checkpoints on this machine by reference. Opening a model on the hub fetches its small files. The
 * weights of a component are fetched when they, or the files that contain them, are first requested. The
 * signal given to `open` also aborts these downloads.
 */
export class LocalModels implements Models {
  #options: LocalModelsOptions;
  #opened = new Map<string, Promise<Checkpoint>>();
  #hubModels = new Map<string, Promise<string | HubModel>>();
  #reading: LocalModels | undefined;

  /** @param options How to find and download models. */
  constructor(options: LocalModelsOptions = {}) {
    this.#options = options;
  }

  /**
   * Opens a checkpoint. Reads only its configurations. A folder is opened once, and the hub is asked once.
   */
  async open({ model, variant }: ModelReference, signal?: AbortSignal): Promise<Checkpoint> {
    const key = JSON.stringify([model, variant]);
    const opened = this.#opened.get(key);
    if (opened) return await opened;
    const place = await this.#place(model, signal);
    if (typeof place !== "string") {
      const { source, findWeights } = await place.files(variant ?? "", signal);
      return await openCheckpoint(source, { variant, findWeights });
    }
    const meanwhile = this.#opened.get(key);
    if (meanwhile) return await meanwhile;
    const opening = openFolder(place).then((source) => openCheckpoint(source, { variant }));
    this.#opened.set(key, opening);
    // A failure can be temporary: the folder may appear later.
    opening.catch(() => this.#opened.delete(key));
    return await opening;
  }

  /** Opens one component of a checkpoint, or of a folder that contains only the component. */
  async component(
    reference: ModelReference,
    component: ComponentName,
    signal?: AbortSignal,
  ): Promise<Component> {
    const { model, variant } = reference;
    const place = await this.#place(model, signal);
    const files: { source: CheckpointSource; findWeights?: FindWeights } = typeof place === "string"
      ? { source: await openFolder(place) }
      : await place.files(variant ?? "", signal);
    const { source, findWeights } = files;
    if (await source.exists("model_index.json")) {
      return (await this.open(reference, signal)).component(component);
    }
    return openComponent(source, { component, variant, findWeights });
  }

  /**
   * Opens a LoRA adapter. Reads its names and settings, but no matrix. An adapter on the hub is fetched as a
   * whole.
   */
  async adapter(name: string, signal?: AbortSignal): Promise<LoraAdapter> {
    return await openLocalAdapter(name, { ...this.#options, signal });
  }

  /** Returns whether weights of a model on the hub are not in the cache yet. */
  async needsDownload({ model, variant }: ModelReference): Promise<boolean> {
    try {
      const place = await this.#place(model, undefined);
      return typeof place !== "string" && !await place.holdsWeights(variant ?? "");
    } catch (error) {
      // The stage that names an invalid model refuses it later.
      if (error instanceof PixstageError && error.fault === "caller") return false;
      throw error;
    }
  }

  /** Returns the same models, but reads those that are not in the cache over the network. */
  withoutDownloads(): LocalModels {
    this.#reading ??= new LocalModels({ ...this.#options, fetches: false });
    return this.#reading;
  }

  /** Opens a component's quantized weights. They are kept next to the store. */
  quantized(
    component: Component,
    recipe: RecipeName,
    options: QuantizeOptions = {},
  ): Promise<Weights> {
    return openQuantized(component, recipe, defaultQuantizedFolder(), options);
  }

  /** Finds the folder of a reference, or the model on the hub. */
  async #place(model: string, signal: AbortSignal | undefined): Promise<string | HubModel> {
    if (model === DEFAULT_MODEL) return embeddedModelFolder();
    const known = this.#hubModels.get(model);
    if (known) return await known;
    const { name, revision } = existsSync(model)
      ? { name: model, revision: undefined }
      : splitRevision(model);
    if (revision !== undefined && (name === DEFAULT_MODEL || existsSync(name))) {
      throw new InputError(
        "invalid_value",
        `Cannot open the revision ${JSON.stringify(revision)} of the model ${
          JSON.stringify(name)
        }, which is ${
          name === DEFAULT_MODEL ? "part of pixstage" : "on disk"
        }: only models on the hub have revisions. Omit it`,
      );
    }
    const finding = resolveModel(name, { ...this.#options, revision, signal });
    this.#hubModels.set(model, finding);
    // A folder can change, and a failed download can succeed later.
    finding.then(
      (place) => typeof place === "string" && this.#hubModels.delete(model),
      () => this.#hubModels.delete(model),
    );
    return await finding;
  }
}

/**
 * Resolves the name of a model to a folder on disk or to a model on the hub. A folder of that name takes
 * precedence.
 *
 * @param reference A path, or a name on the hub, e.g. `PixArt-alpha/PixArt-Sigma-XL-2-512-MS`. A path starts
 * with `.` or `/`, or has more than one `/`.
 * @param options The revision of a model on the hub, and the cache.
 * @returns The folder's absolute path, or the model on the hub, before any of its files is fetched.
 * @throws {InputError} if it is neither a folder nor a valid name on the hub.
 * @throws {HubError} if the model is neither on the hub nor in the cache.
 *
 * @example A folder
 * ```ts
 * import { resolveModel } from "./local_models.ts";
 * const folder = await resolveModel(".");
 * console.assert(folder === process.cwd());
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
    }: it must be a folder on disk, or a name on the hub such as ` +
      `PixArt-alpha/PixArt-Sigma-XL-2-512-MS, but ${path} ${
        found === undefined ? "does not exist" : "is a file"
      }`,
  );
}

/**
 * Opens a folder. A snapshot in the hub's cache gets the name of its model, because the folder's own name is
 * a commit.
 */
function openFolder(path: string): Promise<CheckpointSource> {
  return openDiskSource(path, { name: snapshotModel(path) });
}
