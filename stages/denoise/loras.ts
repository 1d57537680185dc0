// This module is browser compatible.

/**
 * LoRA adapters applied to the weights of a denoiser.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { InputError } from "../../errors/pixstage_error.ts";
import type { Weights } from "../../models/checkpoint/weights.ts";
import { AdaptedWeights } from "../../models/lora/adapted_weights.ts";
import type { LowRankBranch } from "../../models/lora/branch.ts";
import { adapterDigest } from "../../models/lora/digest.ts";
import { fitAdapter, type FittedAdapter } from "../../models/lora/fit_adapter.ts";
import { withBranches } from "../../models/lora/memory.ts";
import type { MemoryChoice } from "../../models/memory.ts";
import type { Models } from "../../models/models.ts";
import type { WeightUse } from "../stage.ts";

/** Maximum number of adapters in a run. */
const MOST_LORAS = 16;

/** The schema of the adapters of a run. */
export const lorasSchema = z.array(z.strictObject({
  /** The adapter: a file, a folder, `org/name` or `org/name@revision`. */
  name: z.string().min(1, "An adapter is needed"),
  /** Factor applied to the adapter's scale. At 0 it has no effect. */
  weight: z.number().default(1),
})).max(MOST_LORAS);

/** The adapters of a run, each checked against the denoiser. */
export interface Loras {
  /** The settings that determine the result in addition to the adapters' content. Empty without adapters. */
  readonly identity: JsonObject;
  /** The adapters in the metadata of latents. Empty without adapters. */
  readonly metadata: JsonObject;
  /** The adapters that determine the result. */
  readonly weights: readonly WeightUse[];
  /** Warnings for the user. */
  readonly warnings: readonly string[];
  /** Adds the adapters' memory to the ways to run. */
  memory(choices: readonly MemoryChoice[]): MemoryChoice[];
  /** Applies the adapters to the denoiser's weights. */
  adapt(weights: Weights): Promise<Weights>;
}

/**
 * Opens the adapters of a run and checks them against the denoiser. Reads only names, shapes and settings.
 *
 * @param given The adapters, as the parameters name them.
 * @param models Opens adapters.
 * @param denoiser The denoiser's weights, as they are stored.
 * @param signal Stops a download.
 * @returns The adapters.
 * @throws {AdapterError} if an adapter does not match this denoiser.
 */
export async function openLoras(
  given: z.infer<typeof lorasSchema>,
  models: Models,
  denoiser: Weights,
  signal: AbortSignal,
): Promise<Loras> {
  if (given.length > 0 && !models.adapter) {
    throw new InputError("invalid_value", "Cannot use LoRAs: no source of adapters is configured here", {
      details: { field: "loras" },
    });
  }
  const all = [];
  for (const { name, weight } of given) {
    const fitted = fitAdapter(await models.adapter!(name, signal), denoiser);
    all.push({ name, weight, fitted, digest: digestOnce(fitted) });
  }
  const used = all.filter(({ weight }) => weight !== 0);
  return {
    identity: used.length === 0 ? {} : { loras: used.map(({ weight }) => weight) },
    metadata: used.length === 0
      ? {}
      : { loras: used.map(({ fitted, weight }) => ({ name: fitted.adapter.name, weight })) },
    weights: used.map(({ name, digest }) => ({ model: name, component: "lora", content: digest })),
    warnings: used.filter(({ fitted }) => fitted.isUnscaled).map(({ fitted }) =>
      `The LoRA ${fitted.adapter.name} does not specify its alpha, so it is applied with scale 1. If it was trained with ` +
      "another alpha, give it the weight alpha / rank"
    ),
    memory: (choices) =>
      used.length === 0 ? [...choices] : withBranches(
        choices,
        gather(used.map(({ fitted, weight }) => ({
          prefix: "",
          weight,
          fitted,
        }))),
      ),
    async adapt(weights) {
      if (used.length === 0) return weights;
      const named = await Promise.all(used.map(async ({ fitted, weight, digest }, index) => ({
        // A kept session is looked up by its graph, so it must not outlive a change of the adapter's file.
        prefix: `lora.${index}.${await digest()}.`,
        weight,
        fitted,
      })));
      return new AdaptedWeights(weights, gather(named));
    },
  };
}

/**
 * Collects the adapters' branches of each module. Their matrices get names that differ from those of the
 * model and of other adapters.
 */
function gather(
  adapters: readonly { readonly prefix: string; readonly weight: number; readonly fitted: FittedAdapter }[],
): ReadonlyMap<string, readonly LowRankBranch[]> {
  const gathered = new Map<string, LowRankBranch[]>();
  for (const { prefix, weight, fitted } of adapters) {
    for (const [module, { down, up, scale }] of fitted.branches) {
      const branch = {
        down: { ...down, name: prefix + down.name },
        up: { ...up, name: prefix + up.name },
        scale: weight * scale,
      };
      gathered.set(module, [...gathered.get(module) ?? [], branch]);
    }
  }
  return gathered;
}

function digestOnce(fitted: FittedAdapter): () => Promise<string> {
  let digest: Promise<string> | undefined;
  return () => digest ??= adapterDigest(fitted);
}
