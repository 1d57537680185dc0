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

/** The parameters by which stages name checkpoints, where they are so called. */
const namedModels = z.object({
  model: z.string().optional().catch(undefined),
  transformer: z.string().optional().catch(undefined),
}).catch({});

/** The checkpoints that a node names. */
export interface NamedModels {
  readonly model?: string | undefined;
  readonly transformer?: string | undefined;
}

/** Reads which checkpoints the parameters of a node name. */
export function modelsNamed(parameters: unknown): NamedModels {
  return namedModels.parse(parameters);
}

/**
 * The queue of the preparations of a stage: for workers that have its code in this version, and models of these names.
 *
 * @param stage The stage.
 * @param models The checkpoints that the node names.
 */
export async function preparationQueue(
  { name, version }: Pick<Stage, "name" | "version">,
  { model = "", transformer = "" }: NamedModels,
): Promise<string> {
  const hash = await hashJson({ messages: MESSAGES_VERSION, name, version, model, transformer });
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
