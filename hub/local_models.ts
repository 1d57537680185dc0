/**
 * Checkpoints of this machine: the embedded model, folders, and the hub's cache.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Checkpoint, openCheckpoint } from "../models/checkpoint/checkpoint.ts";
import { type Component, openComponent } from "../models/checkpoint/component.ts";
import { openDiskSource } from "../models/checkpoint/disk_source.ts";
import type { ComponentName } from "../models/checkpoint/model_index.ts";
import type { CheckpointSource } from "../models/checkpoint/source.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import type { ModelReference, Models, QuantizeOptions } from "../models/models.ts";
import { defaultQuantizedFolder } from "../models/quantization/default_folder.ts";
import { openQuantized } from "../models/quantization/open_quantized.ts";
import { snapshotModel } from "./cache_layout.ts";
import type { HubFiles, HubModel, HubModelOptions } from "./hub_model.ts";
import { resolveModel } from "./resolve_model.ts";

/** The model that the project carries: small, trained on emoji, there at once. */
export const DEFAULT_MODEL = "pixstage-emoji";

/** Where models are looked for. */
export type LocalModelsOptions = Omit<HubModelOptions, "revision" | "signal">;

/**
 * Opens checkpoints of this machine by reference. Of a model on the hub the small files are fetched when it is opened, and
 * the weights of a component when they, or the files that hold them, are first asked for; the signal that it was opened
 * with stops that too.
 */
export class LocalModels implements Models {
  #options: LocalModelsOptions;
  #opened = new Map<string, Promise<Checkpoint>>();
  #hubModels = new Map<string, Promise<string | HubModel>>();

  /** @param options Where models are looked for. */
  constructor(options: LocalModelsOptions = {}) {
    this.#options = options;
  }

  /** Opens a checkpoint: configurations alone. A folder is opened once, and the hub is asked once. */
  async open(reference: ModelReference, signal?: AbortSignal): Promise<Checkpoint> {
    const { model, variant } = reference;
    const key = JSON.stringify([model, variant]);
    const opened = this.#opened.get(key);
    if (opened) return await opened;
    const place = await this.#place(model, signal);
    const named = variant === undefined ? {} : { variant };
    if (typeof place !== "string") {
      const { source, findWeights } = await place.files(variant ?? "", signal);
      return await openCheckpoint(source, { ...named, findWeights });
    }
    const meanwhile = this.#opened.get(key);
    if (meanwhile) return await meanwhile;
    const opening = openFolder(place).then((source) => openCheckpoint(source, named));
    this.#opened.set(key, opening);
    // What failed may work later: a folder that is made.
    opening.catch(() => this.#opened.delete(key));
    return await opening;
  }

  /** Opens one component of a checkpoint, or of a folder that holds it alone. */
  async component(
    reference: ModelReference,
    component: ComponentName,
    signal?: AbortSignal,
  ): Promise<Component> {
    const { model, variant } = reference;
    const place = await this.#place(model, signal);
    const files: Pick<HubFiles, "source"> & Partial<HubFiles> = typeof place === "string"
      ? { source: await openFolder(place) }
      : await place.files(variant ?? "", signal);
    const { source, ...found } = files;
    if (await source.exists("model_index.json")) {
      return (await this.open(reference, signal)).component(component);
    }
    return openComponent(source, { component, ...found, ...(variant === undefined ? {} : { variant }) });
  }

  /** Opens a component's weights quantized; they are kept beside the store. */
  quantized(
    component: Component,
    precision: "int8" | "int4",
    options: QuantizeOptions = {},
  ): Promise<Weights> {
    return openQuantized(component, precision, defaultQuantizedFolder(), options);
  }

  /** The folder of a reference, or the model on the hub. */
  async #place(model: string, signal: AbortSignal | undefined): Promise<string | HubModel> {
    if (model === DEFAULT_MODEL) return embeddedModelFolder();
    const known = this.#hubModels.get(model);
    if (known) return await known;
    const at = model.lastIndexOf("@");
    const revision = at > 0 && !existsSync(model) ? model.slice(at + 1) : undefined;
    const finding = resolveModel(revision === undefined ? model : model.slice(0, at), {
      ...this.#options,
      ...(revision === undefined ? {} : { revision }),
      ...(signal ? { signal } : {}),
    });
    this.#hubModels.set(model, finding);
    // A folder may go and come; what failed may work later: a download.
    finding.then(
      (place) => typeof place === "string" && this.#hubModels.delete(model),
      () => this.#hubModels.delete(model),
    );
    return await finding;
  }
}

/** Opens a folder. Snapshots of the hub's cache are called by their model, as their own name is a commit. */
function openFolder(path: string): Promise<CheckpointSource> {
  return openDiskSource(path, { name: snapshotModel(path) });
}

/** The folder of the embedded model. */
export function embeddedModelFolder(): string {
  return fileURLToPath(new URL(`../models/${DEFAULT_MODEL}/`, import.meta.url));
}
