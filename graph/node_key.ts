// This module is browser compatible.

/**
 * Cache keys: the SHA-256 of everything that determines a node's result.
 *
 * @module
 */

import type { JsonObject } from "../artifacts/artifact.ts";
import { asJson, hashJson } from "../artifacts/canonical_json.ts";
import type { StageRecord } from "../artifacts/store/stage_record.ts";
import type { Preparation } from "./executors/executor.ts";
import type { PlannedNode } from "./plan.ts";

/** The key of a node, and the record of its result. */
export interface NodeKey {
  /** SHA-256 of everything that determines the result. */
  readonly key: string;
  /** The record of the result, without its outputs. */
  readonly record: Omit<StageRecord, "outputs">;
}

/**
 * Computes the key of a node from its stage and version, its identity as the executor reports it, the
 * fingerprints of the weights, and the ids of the inputs. The location of a checkpoint is not part of the
 * key.
 *
 * @param node The node.
 * @param prepared What its executor reports about the node.
 * @param inputs Ids of the artifacts at its input ports. Inputs that the node ignores do not count.
 * @returns The key.
 */
export async function nodeKey(
  { stage, parameters }: Pick<PlannedNode, "stage" | "parameters">,
  { identity, weights, ignores }: Pick<Preparation, "identity" | "weights" | "ignores">,
  inputs: Readonly<Record<string, string>>,
): Promise<NodeKey> {
  // Rows that the parameters leave to the checkpoint are recorded, which makes them part of the lineage.
  const rows = stage.batch && identity[stage.batch.parameter];
  const settled = rows === undefined ? parameters : { ...Object(parameters), [stage.batch!.parameter]: rows };
  const used = Object.fromEntries(Object.entries(inputs).filter(([port]) => !ignores.includes(port)));
  const key = await hashJson({
    stage: stage.name,
    version: stage.version,
    identity,
    weights: weights.map(({ component, fingerprint }) => ({ component, fingerprint })),
    inputs: used,
  });
  return {
    key,
    record: {
      version: 1,
      stage: stage.name,
      stageVersion: stage.version,
      parameters: asJson(settled) as JsonObject,
      models: [...weights],
      inputs: used,
    },
  };
}
