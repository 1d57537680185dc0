// This module is browser compatible.

import { PixstageError } from "../errors/pixstage_error.ts";
import { nearest } from "../errors/nearest.ts";
import { shownName } from "../errors/shown_name.ts";
import type { Checkpoint } from "../models/checkpoint/checkpoint.ts";
import type { Component } from "../models/checkpoint/component.ts";
import type { ComponentName } from "../models/checkpoint/model_index.ts";
import type { LoraAdapter } from "../models/lora/adapter.ts";
import { AdapterError } from "../models/lora/adapter_error.ts";
import type { ModelReference, Models } from "../models/models.ts";

/** A model that requests may name. */
export interface ModelEntry {
  /** The name in requests. */
  readonly name: string;
  /** The model that the name refers to: a folder, or a name on the hub. */
  readonly reference: string;
}

/** A request names a model that the server does not serve. */
export class UnknownModelError extends PixstageError<"model_not_found"> {
  override name = "UnknownModelError";

  /** @param message The unknown model, and the ones that exist. */
  constructor(message: string) {
    super("model_not_found", message, { details: { field: "model" } });
  }
}

/**
 * The models of a list, by name, and no others. The name in a request is looked up here, so it never reaches
 * the file system or the hub.
 */
export class ListedModels implements Models {
  #models: Models;
  #references: ReadonlyMap<string, string>;
  #loras: ReadonlyMap<string, string>;
  /** Opens the quantized weights of a component, which only a listed checkpoint can have. */
  readonly quantized?: NonNullable<Models["quantized"]>;

  /**
   * @param entries The list.
   * @param models Opens what the names stand for.
   * @param loras The LoRA adapters that requests may name.
   */
  constructor(entries: readonly ModelEntry[], models: Models, loras: readonly ModelEntry[] = []) {
    this.#models = models;
    if (models.quantized) this.quantized = models.quantized.bind(models);
    this.#loras = new Map(loras.map(({ name, reference }) => [name, reference]));
    this.#references = new Map(entries.map(({ name, reference }) => [name, reference]));
  }

  /** Opens a listed checkpoint. */
  async open(reference: ModelReference, signal?: AbortSignal): Promise<Checkpoint> {
    return await this.#models.open(this.#listed(reference), signal);
  }

  /** Opens a component of a listed checkpoint. */
  async component(
    reference: ModelReference,
    name: ComponentName,
    signal?: AbortSignal,
  ): Promise<Component> {
    return await this.#models.component(this.#listed(reference), name, signal);
  }

  /** Opens a listed LoRA adapter. */
  async adapter(name: string, signal?: AbortSignal): Promise<LoraAdapter> {
    const reference = this.#loras.get(name);
    if (reference !== undefined && this.#models.adapter) return await this.#models.adapter(reference, signal);
    const names = [...this.#loras.keys()];
    const hint = names.length === 0 ? "None is served" : `Did you mean "${nearest(name, names)}"?`;
    throw new AdapterError(`There is no LoRA "${shownName(name)}". ${hint}`, { code: "adapter_not_found" });
  }

  #listed({ model, ...rest }: ModelReference): ModelReference {
    const reference = this.#references.get(model);
    if (reference !== undefined) return { ...rest, model: reference };
    const names = [...this.#references.keys()];
    const hint = names.length === 0 ? "None is served" : `Did you mean "${nearest(model, names)}"?`;
    throw new UnknownModelError(`There is no model "${shownName(model)}". ${hint}`);
  }
}
