/**
 * The LoRA adapters that the server offers, with the models that each fits.
 *
 * @module
 */

import { toPixstageError } from "../errors/foreign_error.ts";
import { PixstageError } from "../errors/pixstage_error.ts";
import { EMBEDDED_LORAS } from "../hub/embedded_model.ts";
import { listAdapters } from "../hub/list_adapters.ts";
import type { ModelEntry } from "../hub/listed_models.ts";
import { LocalModels } from "../hub/local_models.ts";
import type { Weights } from "../models/checkpoint/weights.ts";
import { AdapterError } from "../models/lora/adapter_error.ts";
import { adapterDigest } from "../models/lora/digest.ts";
import { fitAdapter } from "../models/lora/fit_adapter.ts";
import type { Log } from "./log.ts";

/** A LoRA adapter that requests may name. */
export interface ServedLora extends ModelEntry {
  /** Number of layers that it adapts. */
  readonly layers: number;
  /** Names of the models and stand-alone transformers that the adapter fits. */
  readonly models: readonly string[];
}

/** Sources of the adapters that a server offers. */
export interface OfferedLoras {
  /** Adapters that the operator names. Each must fit a model. */
  readonly named: readonly ModelEntry[];
  /** Whether to offer those of the embedded model. */
  readonly embedded: boolean;
  /** A folder of adapters. */
  readonly folder?: string | undefined;
}

/**
 * Loads the descriptions of a server's adapters.
 *
 * @param offered The sources of adapters.
 * @param denoisers The models and transformers that can denoise.
 * @param log Receives the unnamed adapters that fit no model and are left out.
 * @returns The adapters that can be served.
 * @throws {PixstageError} if a named adapter cannot be served.
 */
export async function servedLoras(
  { named, embedded, folder }: OfferedLoras,
  denoisers: readonly ModelEntry[],
  log: Log,
): Promise<ServedLora[]> {
  const others = [
    ...(embedded ? EMBEDDED_LORAS.map((name): ModelEntry => ({ name, reference: name })) : []),
    ...(folder === undefined ? [] : await listAdapters(folder)),
  ].filter(({ name }) => named.every((entry) => entry.name !== name));
  const entries = [...named, ...others];
  if (entries.length === 0) return [];
  const local = new LocalModels({ localFilesOnly: true });
  const references = new Map(denoisers.map(({ name, reference }) => [name, reference]));
  const transformers = await Promise.all(Array.from(references, async ([name, model]) => ({
    name,
    weights: await (await local.component({ model }, "transformer")).weights(),
  })));
  const served: ServedLora[] = [];
  for (const entry of entries) {
    try {
      served.push(await describeLora(entry, transformers, local));
    } catch (error) {
      const { code, message } = toPixstageError(error);
      if (named.includes(entry)) {
        throw new PixstageError(code, `Cannot serve the LoRA "${entry.name}": ${message}`, { cause: error });
      }
      log("lora_skipped", { lora: entry.name, error: message });
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
    throw refused ??
      new AdapterError(
        `Cannot serve the LoRA ${entry.name} because the server has no models: add one with --model`,
      );
  }
  return { ...entry, layers: adapter.layers.length, models };
}
