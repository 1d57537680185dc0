/**
 * The models that the server offers, with the facts from their configurations.
 *
 * @module
 */

import { checkPart } from "../hub/check_checkpoint.ts";
import { HubError } from "../hub/hub_error.ts";
import { LocalModels } from "../hub/local_models.ts";
import { checkComponent } from "../models/check_component.ts";
import { COMPONENT_NAMES, type ComponentName } from "../models/checkpoint/model_index.ts";
import type { RunDefaults } from "../models/checkpoint/run_defaults.ts";
import { weightBytes } from "../models/memory.ts";
import { denoiseParameters, openDenoiser, resolveDenoise } from "../stages/denoise/settings.ts";
import type { ModelEntry } from "../hub/listed_models.ts";

/** A model that requests may name. */
export interface ServedModel extends ModelEntry {
  /** Family of the model: α or Σ. */
  readonly family: string;
  /** The settings that its authors recommend. */
  readonly defaults: RunDefaults;
  /** Native width in pixels. */
  readonly width: number;
  /** Native height in pixels. */
  readonly height: number;
  /** Default scheduler. */
  readonly scheduler: string;
  /** Default number of denoising steps. */
  readonly steps: number;
  /** Default guidance scale. */
  readonly guidanceScale: number;
}

/** The models and components that a server offers. */
export interface Served {
  /** The models that make pictures. */
  readonly models: readonly ServedModel[];
  /** Those models and stand-alone autoencoders, which can decode latents. */
  readonly decoders: readonly ModelEntry[];
  /** Those models and stand-alone transformers, which can denoise. */
  readonly transformers: readonly ModelEntry[];
  /** Stand-alone ControlNets. */
  readonly controlnets: readonly ModelEntry[];
  /** Stored size of the weights of those models, in bytes. */
  readonly weightBytes: number;
}

/**
 * Reads the configurations of models.
 *
 * @param entries Models, and folders that contain only an autoencoder or a transformer.
 * @param onFault Receives the entry of a model that cannot make pictures, and whether a part of it is served.
 * @returns The models and components that can be served.
 */
export async function describeModels(
  entries: readonly ModelEntry[],
  onFault: (entry: ModelEntry, error: unknown, isServed: boolean) => void,
): Promise<Served> {
  const local = new LocalModels({ localFilesOnly: true });
  const models: ServedModel[] = [];
  const decoders: ModelEntry[] = [];
  const transformers: ModelEntry[] = [];
  const controlnets: ModelEntry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const decodes = await holds(entry, "vae", local);
    const denoises = await holds(entry, "transformer", local);
    if (decodes) decoders.push(entry);
    if (denoises) transformers.push(entry);
    const controls = await holds(entry, "controlnet", local);
    if (controls) controlnets.push(entry);
    try {
      const model = await describeModel(entry, local);
      const weights = await bytesOf(entry, local);
      const checkpoint = await local.open({ model: entry.reference });
      await checkPart(checkpoint, "tokenizer");
      await checkPart(checkpoint, "scheduler");
      models.push(model);
      bytes += weights;
    } catch (error) {
      // A stand-alone component is not an incomplete checkpoint.
      const served = decodes || denoises || controls;
      if (!served || await isCheckpoint(entry, local)) onFault(entry, error, served);
    }
  }
  return { models, decoders, transformers, controlnets, weightBytes: bytes };
}

/** Whether the component is on this machine, with every tensor that a run needs. */
async function holds({ reference }: ModelEntry, name: ComponentName, models: LocalModels): Promise<boolean> {
  try {
    // A partly downloaded model can have configurations without weights.
    await checkComponent(name, await models.component({ model: reference }, name));
    return true;
  } catch {
    return false;
  }
}

async function isCheckpoint({ reference }: ModelEntry, models: LocalModels): Promise<boolean> {
  return await models.open({ model: reference }).then(() => true, () => false);
}

/** Returns the stored size of a model's weights, in bytes. */
async function bytesOf({ name: model, reference }: ModelEntry, models: LocalModels): Promise<number> {
  let bytes = 0;
  const here: string[] = [];
  const missing: string[] = [];
  for (const name of COMPONENT_NAMES) {
    const component = await models.component({ model: reference }, name);
    try {
      bytes += weightBytes(await checkComponent(name, component));
      here.push(name);
    } catch (error) {
      if (!(error instanceof HubError) || error.code !== "offline") throw error;
      missing.push(name);
    }
  }
  if (missing.length === 0) return bytes;
  throw new HubError(
    "offline",
    `Cannot use ${model} because the hub's cache must contain the weights of ${missing.join(", ")}: ` +
      `current value is ${
        here.join(", ") || "none"
      }. Generate a picture with gen once to download the others`,
  );
}

async function describeModel(entry: ModelEntry, models: LocalModels): Promise<ServedModel> {
  const reference = { model: entry.reference };
  const denoiser = await openDenoiser(reference, models);
  const { family, defaults } = denoiser.checkpoint;
  const { size, schedulerName, guidanceScale, steps } = await resolveDenoise(
    denoiseParameters.parse(reference),
    denoiser,
  );
  return { ...entry, family, defaults, ...size, scheduler: schedulerName, guidanceScale, steps };
}
