// This module is browser compatible.

/**
 * Cache keys: the SHA-256 of all that a node's result depends on.
 *
 * @module
 */

import type { JsonObject, JsonValue } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import { canonicalJson } from "../artifacts/canonical_json.ts";
import type { ModelUse, StageRecord } from "../artifacts/store/stage_record.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { Component } from "../models/checkpoint/component.ts";
import { fingerprint } from "../models/checkpoint/fingerprint.ts";
import { COMPONENT_NAMES, type ComponentName } from "../models/checkpoint/model_index.ts";
import type { Models } from "../models/models.ts";
import type { ModelPart } from "../stages/stage.ts";
import { checkContext, type PlannedNode } from "./plan.ts";

/** What keys are computed with. */
export interface KeyOptions {
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** Tells the weights of components apart. Default is {@linkcode fingerprint}. */
  readonly fingerprint?: ((component: Component) => Promise<string>) | undefined;
  /** What else results that use weights depend on, in their last digits at least: the device. */
  readonly numerics?: JsonValue | undefined;
}

/** The key of a node, and what stands behind it. */
export interface NodeKey {
  /** SHA-256 of all that the result depends on. */
  readonly key: string;
  /** The record of the result, but for its outputs. */
  readonly record: Omit<StageRecord, "outputs">;
}

/**
 * Computes the key of a node: stage and version, parameters as they are settled, fingerprints of the weights, ids of
 * the inputs. Where a checkpoint lies is no part of it.
 *
 * @param node The node.
 * @param inputs The ids of the artifacts at its input ports.
 * @param options What keys are computed with.
 * @returns The key.
 */
export async function nodeKey(
  node: PlannedNode,
  inputs: Readonly<Record<string, string>>,
  options: KeyOptions,
): Promise<NodeKey> {
  const { stage, parameters } = node;
  const settled = await stage.settle?.(checkContext(node, options.models)) ?? parameters;
  const models: ModelUse[] = [];
  for (const part of stage.modelParts?.(parameters) ?? []) models.push(await modelUse(part, options));
  const key = await hashJson({
    stage: stage.name,
    version: stage.version,
    settled: asJson(settled),
    models: models.map(({ component, fingerprint }) => ({ component, fingerprint })),
    inputs: { ...inputs },
    ...(options.numerics === undefined || models.length === 0 ? {} : { numerics: options.numerics }),
  });
  return {
    key,
    record: {
      version: 1,
      stage: stage.name,
      stageVersion: stage.version,
      parameters: asJson(parameters) as JsonObject,
      models,
      inputs: { ...inputs },
    },
  };
}

/** SHA-256 of a value, in hexadecimal; equal values have equal ones. */
export async function hashJson(value: JsonValue): Promise<string> {
  return await artifactId(new TextEncoder().encode(canonicalJson(value)));
}

/** A value as JSON holds it: without what is undefined, infinities and big integers as texts. */
export function asJson(value: unknown): JsonValue {
  return JSON.parse(
    JSON.stringify(value, (_key, part) => {
      const hasNoJson = typeof part === "bigint" || (typeof part === "number" && !Number.isFinite(part));
      return hasNoJson ? String(part) : part;
    }) ?? "null",
  );
}

async function modelUse(part: ModelPart, options: KeyOptions): Promise<ModelUse> {
  const { model, variant, component } = part;
  const named = { model, ...(variant === undefined ? {} : { variant }), component };
  return { ...named, fingerprint: await partFingerprint(part, options) };
}

async function partFingerprint(part: ModelPart, options: KeyOptions): Promise<string> {
  const { models, fingerprint: fingerprintOf = fingerprint } = options;
  if (isComponent(part.component)) return await fingerprintOf(await models.component(part, part.component));
  const checkpoint = await models.open(part);
  if (part.component === "scheduler") return await hashJson(asJson(await checkpoint.scheduler()));
  if (part.component === "tokenizer") {
    const { spieceModel, ...texts } = await checkpoint.tokenizer();
    return await hashJson({ ...texts, spieceModel: spieceModel ? await artifactId(spieceModel) : null });
  }
  throw new InputError(
    "invalid_value",
    `Cannot fingerprint a part of ${part.model} as it must be one of ${
      COMPONENT_NAMES.join(", ")
    }, scheduler and ` +
      `tokenizer: current value is "${part.component}"`,
  );
}

function isComponent(name: string): name is ComponentName {
  return (COMPONENT_NAMES as readonly string[]).includes(name);
}
