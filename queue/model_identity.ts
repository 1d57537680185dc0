// This module is browser compatible.

/**
 * Names of queues. A name identifies everything that a result depends on. A worker that lacks a model, or has
 * other weights under the same name, therefore never takes work that it cannot do.
 *
 * @module
 */

import { z } from "zod";
import { asJson, hashJson } from "../artifacts/canonical_json.ts";
import type { Preparation } from "../graph/executors/executor.ts";
import type { Stage } from "../stages/stage.ts";
import { MESSAGES_VERSION } from "./messages.ts";

const name = z.string().optional().catch(undefined);

/** The parameters in which stages name checkpoints and adapters. A stage need not have them. */
const namedModels = z.object({
  model: name,
  transformer: name,
  controlnet: name,
  vae: name,
  loras: z.array(z.object({ name: z.string() })).catch([]),
}).catch({ loras: [] });

/** Names of the checkpoints and adapters that a node uses. */
export interface NamedModels {
  readonly model?: string | undefined;
  readonly transformer?: string | undefined;
  /** Names of LoRAs, a ControlNet or another autoencoder, sorted and without duplicates. */
  readonly extras?: readonly string[] | undefined;
}

/** Returns the checkpoints and adapters that the parameters of a node name. */
export function modelsNamed(parameters: unknown): NamedModels {
  const { model, transformer, controlnet, vae, loras } = namedModels.parse(parameters);
  const extras = [controlnet, vae, ...loras.map(({ name }) => name)].filter((extra) => extra !== undefined);
  return { model, transformer, extras: [...new Set(extras)].sort() };
}

/**
 * Returns the name of the queue in which nodes of a stage are prepared. Workers serve it if they have this
 * version of the stage, and models and adapters with these names.
 *
 * @param stage The stage.
 * @param models The checkpoints and adapters that the node names.
 */
export async function preparationQueue(
  { name, version }: Pick<Stage, "name" | "version">,
  { model = "", transformer = "", extras = [] }: NamedModels,
): Promise<string> {
  const named = { messages: MESSAGES_VERSION, name, version, model, transformer };
  const hash = await hashJson(extras.length === 0 ? named : { ...named, extras });
  return `prepare.${readable(name)}.${readable(model)}.${hash.slice(0, 16)}`;
}

/**
 * Returns the name of the queue in which nodes of a stage run. Workers serve it if their own preparation
 * names the same code, weights and numerics.
 *
 * @param stage The stage.
 * @param prepared The result of the preparation.
 */
export async function runQueueOf(
  { name, version }: Pick<Stage, "name" | "version">,
  { identity, weights }: Pick<Preparation, "identity" | "weights">,
): Promise<string> {
  const { numerics = null } = identity;
  const hash = await hashJson({
    messages: MESSAGES_VERSION,
    name,
    version,
    weights: asJson(weights),
    numerics,
  });
  return `run.${readable(name)}.${readable(weights[0]?.model ?? "")}.${hash.slice(0, 16)}`;
}

/** Shortens a name and replaces characters that the name of a queue cannot contain. */
function readable(name: string): string {
  return name.split("/").at(-1)!.replaceAll(/[^\w-]+/g, "_").slice(-40) || "any";
}
