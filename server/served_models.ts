/**
 * The models that the server serves, with what their configurations say.
 *
 * @module
 */

import type { z } from "zod";
import { LocalModels } from "../hub/local_models.ts";
import { AutoencoderConfig, spatialFactor } from "../models/autoencoder_config.ts";
import type { ComponentName } from "../models/checkpoint/model_index.ts";
import type { RunDefaults } from "../models/checkpoint/run_defaults.ts";
import { PixArtTransformerConfig } from "../models/pixart_transformer_config.ts";
import { guidanceScaleOf } from "../stages/denoise_settings.ts";
import { weightBytes } from "../residency/stage_residency.ts";
import type { ModelEntry } from "./engine/messages.ts";

/** A model that requests may name. */
export interface ServedModel extends ModelEntry {
  /** α or Σ. */
  readonly family: string;
  /** What its maker recommends. */
  readonly defaults: RunDefaults;
  /** Its own size in pixels. */
  readonly width: number;
  /** Its own size in pixels. */
  readonly height: number;
  /** The scheduler that it is run with unless the request names another. */
  readonly scheduler: string;
  /** How far the prompt pulls unless the request says otherwise. */
  readonly guidanceScale: number;
}

/** What a server serves. */
export interface Served {
  /** The models that make pictures. */
  readonly models: readonly ServedModel[];
  /** What can decode latents: those models, and autoencoders that stand alone. */
  readonly decoders: readonly ModelEntry[];
  /** What can denoise: those models, and transformers that stand alone. */
  readonly transformers: readonly ModelEntry[];
  /** Bytes of the weights of those models, as stored. */
  readonly weightBytes: number;
}

/**
 * Reads what the configurations of models say.
 *
 * @param entries Models, and folders that hold an autoencoder or a transformer alone.
 * @param onFault Is told of a model that cannot be served.
 * @returns Those that can be served.
 */
export async function describeModels(
  entries: readonly ModelEntry[],
  onFault: (entry: ModelEntry, error: unknown) => void,
): Promise<Served> {
  const local = new LocalModels({ localFilesOnly: true });
  const models: ServedModel[] = [];
  const decoders: ModelEntry[] = [];
  const transformers: ModelEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const decodes = await holds(entry, "vae", AutoencoderConfig, local);
    const denoises = await holds(entry, "transformer", PixArtTransformerConfig, local);
    if (decodes) decoders.push(entry);
    if (denoises) transformers.push(entry);
    try {
      models.push(await describeModel(entry, local));
      for (const name of ["text_encoder", "transformer", "vae"] as const) {
        const component = await local.component({ model: entry.reference }, name);
        bytes += weightBytes(await component.weights());
      }
    } catch (error) {
      if (!decodes && !denoises) onFault(entry, error);
    }
  }
  return { models, decoders, transformers, weightBytes: bytes };
}

/** Whether there is such a component, of a kind that runs here. */
async function holds(
  { reference }: ModelEntry,
  name: ComponentName,
  config: z.ZodType,
  models: LocalModels,
): Promise<boolean> {
  const component = await models.component({ model: reference }, name).catch(() => undefined);
  return config.safeParse(component?.config).success;
}

async function describeModel(entry: ModelEntry, models: LocalModels): Promise<ServedModel> {
  const checkpoint = await models.open({ model: entry.reference });
  const { family, defaults } = checkpoint;
  const transformer = PixArtTransformerConfig.parse((await checkpoint.component("transformer")).config);
  const autoencoder = AutoencoderConfig.parse((await checkpoint.component("vae")).config);
  const native = transformer.sample_size * spatialFactor(autoencoder);
  return {
    ...entry,
    family,
    defaults,
    width: defaults.width ?? native,
    height: defaults.height ?? native,
    scheduler: defaults.scheduler ?? (await checkpoint.scheduler()).className,
    guidanceScale: guidanceScaleOf({}, checkpoint),
  };
}
