// This module is browser compatible.

import { z } from "zod";
import { PixstageError } from "../../errors/pixstage_error.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import { asJson } from "../../artifacts/canonical_json.ts";
import type { ModelUse } from "../../artifacts/store/stage_record.ts";
import type { Component } from "../../models/checkpoint/component.ts";
import { fingerprint } from "../../models/checkpoint/fingerprint.ts";
import type { Models } from "../../models/models.ts";
import { modelsOfRun } from "../../models/models_of_run.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { OutputArtifacts, Ports, PreparedStage, Stage, WeightUse } from "../../stages/stage.ts";
import { PolicySnapshots } from "../snapshots.ts";
import type {
  ExecuteOptions,
  Executor,
  IdentifiedArtifact,
  PreparedNode,
  PrepareRequest,
  StageResponse,
} from "./executor.ts";

/** The resources for stages in this thread. */
export interface InlineExecutorOptions {
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** Opens ONNX graphs. */
  readonly runtime: Runtime;
  /** Identifies the weights of a component. The default is {@linkcode fingerprint}. */
  readonly fingerprint?: ((component: Component) => Promise<string>) | undefined;
}

/** The usual parameters in which stages name checkpoints. */
const namedModels = z.object({
  model: z.string().optional().catch(undefined),
  variant: z.string().optional().catch(undefined),
  transformer: z.string().optional().catch(undefined),
}).catch({});

/** Runs stages in the calling thread. */
export class InlineExecutor implements Executor {
  readonly name = "inline";
  #options: InlineExecutorOptions;
  #opened = new WeakMap<AbortSignal, Models>();

  /** @param options What stages can use. */
  constructor(options: InlineExecutorOptions) {
    this.#options = options;
  }

  /** Prepares a node in this thread. */
  async prepare(
    { node, inputs, residency, lowestPrecision, isTrial }: PrepareRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PreparedNode> {
    const { runtime } = this.#options;
    signal.throwIfAborted();
    const models = this.#models(signal);
    const prepared = await node.stage.prepare({
      parameters: node.parameters,
      inputs,
      models: isTrial ? models.withoutDownloads?.() ?? models : models,
      device: runtime,
      residency,
      lowestPrecision,
      signal,
    });
    const used = isTrial ? [] : prepared.weights ?? [];
    const weights = await Promise.all(used.map((use) => this.#modelUse(use)));
    const { numerics } = runtime.traits;
    const identity = asJson(prepared.identity) as JsonObject;
    const outputs = Object.entries(node.stage.outputs).map(([port, { kind }]) =>
      [port, prepared.outputs?.[port] ?? { kind, shapes: {}, metadata: {} }] as const
    );
    return {
      // The last digits of results that depend on weights differ between devices.
      identity: numerics === undefined || weights.length === 0 ? identity : { ...identity, numerics },
      weights,
      outputs: Object.fromEntries(outputs),
      ignores: prepared.ignores ?? [],
      warnings: prepared.warnings ?? [],
      memory: prepared.memory ?? [],
      execute: (artifacts, options) => this.#execute(node.stage, prepared, artifacts, options),
    };
  }

  /** Returns whether a checkpoint that the node names is not completely downloaded. */
  async downloads({ parameters }: PrepareRequest["node"]): Promise<boolean> {
    const { models } = this.#options;
    const { model, variant, transformer } = namedModels.parse(parameters);
    const references = [{ model, variant }, { model: transformer }];
    for (const { model, ...rest } of references) {
      if (model !== undefined && await models.needsDownload?.({ model, ...rest })) return true;
    }
    return false;
  }

  async #execute(
    stage: Stage,
    prepared: PreparedStage,
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    { signal, report, snapshots, previews }: ExecuteOptions,
  ): Promise<StageResponse> {
    const { runtime } = this.#options;
    signal.throwIfAborted();
    runtime.resetPeakMemory?.();
    const outputs = await prepared.run({
      inputs: Object.fromEntries(Object.entries(inputs).map(([port, { artifact }]) => [port, artifact])),
      runtime,
      signal,
      report,
      previews,
      snapshots: snapshots &&
        new PolicySnapshots(
          snapshots.policy,
          (artifact) => snapshots.keep({ artifact }),
          snapshots.saved?.artifact,
        ),
    });
    checkOutputs(stage, outputs);
    await runtime.giveBackMemory?.();
    const made = Object.keys(stage.outputs).map((port) => [port, { artifact: outputs[port]! }] as const);
    return { outputs: Object.fromEntries(made), memory: runtime.memory?.() };
  }

  /** Returns the checkpoints of one run, each opened once. */
  #models(signal: AbortSignal): Models {
    const known = this.#opened.get(signal) ?? modelsOfRun(this.#options.models, signal);
    this.#opened.set(signal, known);
    return known;
  }

  async #modelUse({ model, variant, component, content }: WeightUse): Promise<ModelUse> {
    const { fingerprint: fingerprintOf = fingerprint } = this.#options;
    const named = variant === undefined ? { model, component } : { model, variant, component };
    if (typeof content === "function") return { ...named, fingerprint: await content() };
    return { ...named, fingerprint: typeof content === "string" ? content : await fingerprintOf(content) };
  }
}

/**
 * Checks a stage's outputs here, so that the error names the stage that broke its contract instead of a later
 * one.
 */
function checkOutputs(stage: Stage, outputs: OutputArtifacts<Ports>): void {
  for (const [port, { kind }] of Object.entries(stage.outputs)) {
    const found = outputs[port]?.kind;
    if (found !== kind) {
      throw new PixstageError(
        "broken_contract",
        `Stage "${stage.name}" broke its contract: output "${port}" must be ${kind}, but it is ${
          found ?? "missing"
        }`,
      );
    }
  }
}
