/**
 * The LoRA adapters that the server serves, with the models that each fits.
 *
 * @module
 */

import type { ModelEntry } from "../hub/listed_models.ts";
import { LocalModels } from "../hub/local_models.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { AdapterError } from "../models/lora/adapter_error.ts";
import { adapterDigest } from "../models/lora/digest.ts";
import { fitAdapter } from "../models/lora/fit_adapter.ts";

/** A LoRA adapter that requests may name. */
export interface ServedLora extends ModelEntry {
  /** Layers that it adapts. */
  readonly layers: number;
  /** Names of the models, and of the transformers that stand alone, that it fits. */
  readonly models: readonly string[];
}

/**
 * Reads what adapters are.
 *
 * @param entries The adapters.
 * @param denoisers What can denoise.
 * @param onFault Takes an adapter that cannot be served.
 * @returns Those that can be served: those that fit at least one of the models.
 */
export async function describeLoras(
  entries: readonly ModelEntry[],
  denoisers: readonly ModelEntry[],
  onFault: (entry: ModelEntry, error: unknown) => void,
): Promise<ServedLora[]> {
  if (entries.length === 0) return [];
  const local = new LocalModels({ localFilesOnly: true });
  const transformers = await Promise.all(denoisers.map(async ({ name, reference }) => ({
    name,
    weights: await (await local.component({ model: reference }, "transformer")).weights(),
  })));
  const served: ServedLora[] = [];
  for (const entry of entries) {
    try {
      served.push(await describeLora(entry, transformers, local));
    } catch (error) {
      onFault(entry, error);
    }
  }
  return served;
}

async function describeLora(
  entry: ModelEntry,
  transformers: readonly { readonly name: string; readonly weights: Weights }[],
  local: LocalModels,
): Promise<ServedLora> {
  const adapter = await local.adapter(entry.reference);
  const models: string[] = [];
  let refused: unknown;
  for (const { name, weights } of transformers) {
    try {
      const fitted = fitAdapter(adapter, weights);
      if (models.length === 0) await adapterDigest(fitted);
      models.push(name);
    } catch (error) {
      if (!(error instanceof AdapterError)) throw error;
      refused = error;
    }
  }
  if (models.length === 0) {
    throw refused ?? new AdapterError(`Cannot serve the LoRA ${entry.name} as no model is served`);
  }
  return { ...entry, layers: adapter.layers.length, models };
}
