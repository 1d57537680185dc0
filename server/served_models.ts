/**
 * The models that the server serves, with what their configurations say.
 *
 * @module
 */

import { LocalModels } from "../hub/local_models.ts";
import { AutoencoderConfig, spatialFactor } from "../models/autoencoder_config.ts";
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
  /** Bytes of the weights of those models, as stored. */
  readonly weightBytes: number;
}

/**
 * Reads what the configurations of models say.
 *
 * @param entries Models, and folders that hold an autoencoder alone.
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
  let bytes = 0;
  for (const entry of entries) {
    const decoder = await isDecoder(entry, local);
    if (decoder) decoders.push(entry);
    try {
      models.push(await describeModel(entry, local));
      for (const name of ["text_encoder", "transformer", "vae"] as const) {
        const component = await local.component({ model: entry.reference }, name);
        bytes += weightBytes(await component.weights());
      }
    } catch (error) {
      if (!decoder) onFault(entry, error);
    }
  }
  return { models, decoders, weightBytes: bytes };
}

async function isDecoder({ reference }: ModelEntry, models: LocalModels): Promise<boolean> {
  const vae = await models.component({ model: reference }, "vae").catch(() => undefined);
  return AutoencoderConfig.safeParse(vae?.config).success;
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
