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
import type { Weights } from "../models/checkpoint/weights.ts";
import type { ModelReference, Models, QuantizeOptions } from "../models/models.ts";
import { defaultQuantizedFolder } from "../models/quantization/default_folder.ts";
import { openQuantized } from "../models/quantization/open_quantized.ts";
import { resolveModel, type ResolveModelOptions } from "./resolve_model.ts";

/** The model that the project carries: small, trained on emoji, there at once. */
export const DEFAULT_MODEL = "pixstage-emoji";

/** Where models are looked for. */
export type LocalModelsOptions = Omit<ResolveModelOptions, "revision" | "variant" | "components" | "signal">;

/** Opens checkpoints of this machine by reference. */
export class LocalModels implements Models {
  #options: LocalModelsOptions;
  #opened = new Map<string, Promise<Checkpoint>>();

  /** @param options Where models are looked for. */
  constructor(options: LocalModelsOptions = {}) {
    this.#options = options;
  }

  /** Opens a checkpoint: configurations alone. It is opened once. */
  open(reference: ModelReference, signal?: AbortSignal): Promise<Checkpoint> {
    const { model, variant } = reference;
    const key = JSON.stringify([model, variant]);
    let opened = this.#opened.get(key);
    if (!opened) {
      opened = this.#folder(reference, signal).then(async (folder) =>
        openCheckpoint(await openDiskSource(folder), variant === undefined ? {} : { variant })
      );
      this.#opened.set(key, opened);
      // What failed may work later: a download, a folder that is made.
      opened.catch(() => this.#opened.delete(key));
    }
    return opened;
  }

  /** Opens one component of a checkpoint, or of a folder that holds it alone. */
  async component(
    reference: ModelReference,
    component: ComponentName,
    signal?: AbortSignal,
  ): Promise<Component> {
    const source = await openDiskSource(await this.#folder(reference, signal));
    if (await source.exists("model_index.json")) {
      return (await this.open(reference, signal)).component(component);
    }
    const { variant } = reference;
    return openComponent(source, variant === undefined ? { component } : { component, variant });
  }

  /** Opens a component's weights quantized; they are kept beside the store. */
  quantized(
    component: Component,
    precision: "int8" | "int4",
    options: QuantizeOptions = {},
  ): Promise<Weights> {
    return openQuantized(component, precision, defaultQuantizedFolder(), options);
  }

  /** The folder of a reference. */
  #folder({ model, variant }: ModelReference, signal?: AbortSignal): Promise<string> {
    if (model === DEFAULT_MODEL) return Promise.resolve(embeddedModelFolder());
    const at = model.lastIndexOf("@");
    const revision = at > 0 && !existsSync(model) ? model.slice(at + 1) : undefined;
    return resolveModel(revision === undefined ? model : model.slice(0, at), {
      ...this.#options,
      ...(revision === undefined ? {} : { revision }),
      ...(variant === undefined ? {} : { variant }),
      ...(signal ? { signal } : {}),
    });
  }
}

/** The folder of the embedded model. */
export function embeddedModelFolder(): string {
  return fileURLToPath(new URL(`../models/${DEFAULT_MODEL}/`, import.meta.url));
}
