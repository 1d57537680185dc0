// This module is browser compatible.

import type { ModelReference, Models } from "../models.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { CheckpointError } from "./checkpoint_errors.ts";
import { type Component, openComponent } from "./component.ts";
import { type LoraAdapter, openAdapter } from "../lora/adapter.ts";
import type { ComponentName } from "./model_index.ts";
import type { CheckpointSource } from "./source.ts";

/**
 * Checkpoints that the caller lists with their sources. Intended for browsers and edge runtimes, which have
 * no disk.
 *
 * @example A checkpoint on an HTTP server
 * ```ts
 * import { GivenModels } from "./given_models.ts";
 * import { openHttpSource } from "./http_source.ts";
 *
 * const models = new GivenModels({
 *   "my-model": openHttpSource("https://example.com/my-model/", { files: { "model_index.json": 512 } }),
 * });
 * ```
 */
export class GivenModels implements Models {
  readonly #sources: ReadonlyMap<string, CheckpointSource>;
  readonly #opened = new Map<string, Promise<Checkpoint>>();

  /** @param sources The checkpoints, keyed by the names that graphs use. */
  constructor(sources: Readonly<Record<string, CheckpointSource>>) {
    this.#sources = new Map(Object.entries(sources));
  }

  /** Opens a checkpoint and reads its configurations only. Repeated calls share one checkpoint. */
  async open({ model, variant }: ModelReference): Promise<Checkpoint> {
    const key = JSON.stringify([model, variant]);
    const opened = this.#opened.get(key) ?? openCheckpoint(this.#source(model), variant ? { variant } : {});
    this.#opened.set(key, opened);
    // A failed attempt can succeed later, for example when a server is up again.
    opened.catch(() => this.#opened.delete(key));
    return await opened;
  }

  /** Opens one component of a checkpoint, or of a source that contains only that component. */
  async component(reference: ModelReference, component: ComponentName): Promise<Component> {
    const { model, variant } = reference;
    const source = this.#source(model);
    if (await source.exists("model_index.json")) return (await this.open(reference)).component(component);
    return await openComponent(source, variant ? { component, variant } : { component });
  }

  /** Opens a LoRA adapter. Each adapter is listed as a separate source. */
  async adapter(name: string): Promise<LoraAdapter> {
    return await openAdapter(this.#source(name), { name });
  }

  #source(model: string): CheckpointSource {
    const source = this.#sources.get(model);
    if (source) return source;
    const names = [...this.#sources.keys()].join(", ") || "none";
    throw new CheckpointError(`Cannot find the model "${model}": available are ${names}`);
  }
}
