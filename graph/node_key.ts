// This module is browser compatible.

/**
 * Cache keys: the SHA-256 of everything that a node's result depends on.
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
  /** SHA-256 of everything that the result depends on. */
  readonly key: string;
  /** The record of the result, but for its outputs. */
  readonly record: Omit<StageRecord, "outputs">;
}

/**
 * Computes the key of a node: stage and version, its identity as the executor tells it, fingerprints of the weights, ids
 * of the inputs. Where a checkpoint lies is no part of it.
 *
 * @param node The node.
 * @param prepared What its executor tells of it.
 * @param inputs The ids of the artifacts at its input ports; those that it ignores do not count.
 * @returns The key.
 */
export async function nodeKey(
  { stage, parameters }: Pick<PlannedNode, "stage" | "parameters">,
  { identity, weights, ignores }: Pick<Preparation, "identity" | "weights" | "ignores">,
  inputs: Readonly<Record<string, string>>,
): Promise<NodeKey> {
  // Rows that the parameters leave to the checkpoint are written down, so that lineage tells them.
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
