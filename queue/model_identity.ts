// This module is browser compatible.

/**
 * Names of queues. They pin what a result depends on, so that a worker that lacks a model, or has other weights under the
 * same name, never takes the work of others.
 *
 * @module
 */

import { z } from "zod";
import { asJson, hashJson } from "../artifacts/canonical_json.ts";
import type { Preparation } from "../graph/executors/executor.ts";
import type { Stage } from "../stages/stage.ts";
import { MESSAGES_VERSION } from "./messages.ts";

const name = z.string().optional().catch(undefined);

/** The parameters by which stages name checkpoints and adapters, where they are so called. */
const namedModels = z.object({
  model: name,
  transformer: name,
  controlnet: name,
  vae: name,
  loras: z.array(z.object({ name: z.string() })).catch([]),
}).catch({ loras: [] });

/** The checkpoints and adapters that a node names. */
export interface NamedModels {
  readonly model?: string | undefined;
  readonly transformer?: string | undefined;
  /** LoRAs, a ControlNet, another autoencoder: sorted, each once. */
  readonly extras?: readonly string[] | undefined;
}

/** Reads which checkpoints and adapters the parameters of a node name. */
export function modelsNamed(parameters: unknown): NamedModels {
  const { model, transformer, controlnet, vae, loras } = namedModels.parse(parameters);
  const extras = [controlnet, vae, ...loras.map(({ name }) => name)].filter((extra) => extra !== undefined);
  return { model, transformer, extras: [...new Set(extras)].sort() };
}

/**
 * The queue of the preparations of a stage: for workers that have its code in this version, and models and adapters of
 * these names.
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
 * The queue of the runs of a stage: for workers whose preparation names the same code, weights and numerics.
 *
 * @param stage The stage.
 * @param prepared What preparing the node told.
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

/** A name as far as it may stand in a queue's name. */
function readable(name: string): string {
  return name.split("/").at(-1)!.replaceAll(/[^\w-]+/g, "_").slice(-40) || "any";
}
