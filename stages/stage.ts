// This module is browser compatible.

/**
 * Stages: the boxes of a graph. A stage is a plugin with typed ports, a zod schema for its parameters, and `prepare`. The
 * built-in stages use nothing that a stage from elsewhere could not use.
 *
 * @module
 */

import { InputError } from "../errors/pixstage_error.ts";
import type { z } from "zod";
import type { Artifact, JsonObject } from "../artifacts/artifact.ts";
import { asJson } from "../artifacts/canonical_json.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import type { Component } from "../models/checkpoint/component.ts";
import type { MemoryChoice } from "../models/memory.ts";
import type { ModelReference, Models } from "../models/models.ts";
import type { Precision } from "../models/precision.ts";
import type { Residency } from "../models/segments.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StageReport } from "./stage_report.ts";

/** An input or output of a stage. */
export interface Port {
  /** The kind of artifact that flows here. */
  readonly kind: string;
  /** What it is, for people. */
  readonly description: string;
  /**
   * Whether a graph may leave this input open. Outputs are never optional.
   *
   * @default {false}
   */
  readonly optional?: boolean | undefined;
}

/** The ports of one side of a stage, by name. */
export type Ports = Readonly<Record<string, Port>>;

/** A value for each input port: those of optional ports may be missing. */
type ByInput<I extends Ports, T> =
  & { readonly [K in keyof I as I[K] extends { optional: true } ? never : K]: T }
  & { readonly [K in keyof I as I[K] extends { optional: true } ? K : never]?: T };

/** The artifacts at the input ports: optional ones may be missing. */
export type InputArtifacts<I extends Ports> = ByInput<I, Artifact>;

/** The artifacts at the output ports. */
export type OutputArtifacts<O extends Ports> = { readonly [K in keyof O]: Artifact };

/** The place that a stage is prepared for, and what it may read there. */
export interface PrepareContext<P, I extends Ports = Ports> {
  /** The parameters, parsed. */
  readonly parameters: P;
  /** Outlines of the artifacts that will be at the connected input ports. */
  readonly inputs: ByInput<I, ArtifactOutline>;
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** The device that the stage will run on. */
  readonly device: Pick<Runtime, "device" | "traits">;
  /** How long the stage is to hold its weights, where that is fixed. */
  readonly residency?: Residency | undefined;
  /** The lowest precision among the ways to run that `memory` lists; the one of the parameters by default. */
  readonly lowestPrecision?: Precision | undefined;
  /** Stops reading. */
  readonly signal: AbortSignal;
}

/** Keeps states that a stage can go on from, should it be interrupted. */
export interface Snapshots {
  /** The state that was kept when the stage last ran with the same inputs and parameters, and was interrupted. */
  readonly saved?: Artifact | undefined;
  /** Offers a state. It is made and kept only where one is due, so it may be offered after every step. */
  offer(make: () => Artifact): Promise<void>;
}

/** What a running stage may use. */
export interface RunContext<I extends Ports = Ports> {
  /** The artifacts at the input ports. */
  readonly inputs: InputArtifacts<I>;
  /** Opens ONNX graphs. */
  readonly runtime: Runtime;
  /** Says when to stop; checked at least once a step. */
  readonly signal: AbortSignal;
  /** Reports progress. */
  report(event: StageReport): void;
  /** Keeps states to go on from; absent where none are kept. */
  readonly snapshots?: Snapshots | undefined;
  /** Whether previews were requested; stages that can should report intermediate images. */
  readonly previews?: boolean | undefined;
}

/** Weights, or another part of a checkpoint, that a result depends on. */
export interface WeightUse extends ModelReference {
  /** The component's folder: `text_encoder`, `tokenizer`. */
  readonly component: string;
  /** The component, or the SHA-256 of files that are no component, or what computes it where a run begins. */
  readonly content: Component | string | (() => Promise<string>);
}

/** A stage that is ready to run once: everything is read but weights and inputs. */
export interface PreparedStage<I extends Ports = Ports, O extends Ports = Ports> {
  /**
   * What the result depends on beside inputs and weights, settled: parameters with the defaults of configurations laid in,
   * versions of recipes. An allow-list: equal values share one cached result. Where a checkpoint lies is no part of it.
   */
  readonly identity: JsonObject;
  /** The weights that the result depends on. */
  readonly weights?: readonly WeightUse[] | undefined;
  /** Outlines of the outputs, as far as they are known. */
  readonly outputs?: { readonly [K in keyof O]?: ArtifactOutline } | undefined;
  /** Connected inputs that the result does not depend on. What they alone need does not run. */
  readonly ignores?: readonly (keyof I & string)[] | undefined;
  /** Sentences that the user should read: a prompt that is cut, a parameter without effect. */
  readonly warnings?: readonly string[] | undefined;
  /** All ways to run, the best first, each with its predicted memory. */
  readonly memory?: readonly MemoryChoice[] | undefined;
  /** Makes the outputs. It must have given back all memory when it returns or throws. */
  run(context: RunContext<I>): Promise<OutputArtifacts<O>>;
}

/** A stage whose result is a row for each element of one parameter, so that each row is cached by itself. */
export interface BatchOver {
  /** The parameter: a list, which `identity` holds under the same name. */
  readonly parameter: string;
  /** The output that holds a row for each element. */
  readonly output: string;
  /** Takes the output apart, a row each. */
  split(artifact: Artifact): Artifact[];
  /** Puts rows together. */
  join(rows: readonly Artifact[]): Artifact;
}

/** A stage. */
export interface Stage<P = unknown, I extends Ports = Ports, O extends Ports = Ports> {
  /** The name that graphs call it by. */
  readonly name: string;
  /** Changes whenever the same input would give another result. */
  readonly version: string;
  /** One sentence for people. */
  readonly description: string;
  /** Input ports. */
  readonly inputs: I;
  /** Output ports. */
  readonly outputs: O;
  /** Parses the parameters, and lays defaults in. Its output must parse to itself, and be JSON. */
  readonly parameters: z.ZodType<P>;
  /** Where the stage works row by row: rows of several nodes are then made in one run. */
  readonly batch?: BatchOver | undefined;
  /**
   * Settles what one node will do, on the machine that will run it: reads configurations, the headers of weights and the
   * outlines of the inputs, and refuses what cannot work. Runs for all nodes before any node runs.
   */
  prepare(context: PrepareContext<P, I>): Promise<PreparedStage<I, O>> | PreparedStage<I, O>;
}

/** A stage as its author writes it: with `prepare`, or with `run` alone where only parameters and inputs matter. */
export interface StageDefinition<P, I extends Ports, O extends Ports>
  extends Omit<Stage<P, I, O>, "prepare"> {
  /** See {@linkcode Stage.prepare}. */
  prepare?(context: PrepareContext<P, I>): Promise<PreparedStage<I, O>> | PreparedStage<I, O>;
  /** Makes the outputs, in the place of `prepare`: the result then depends on all parameters. */
  run?(context: RunContext<I> & { readonly parameters: P }): Promise<OutputArtifacts<O>>;
}

/**
 * Defines a stage, inferring the types of its parameters and ports.
 *
 * @param definition The stage, with `prepare` or with `run`.
 * @returns The stage, its types forgotten, as graphs hold it.
 * @throws {InputError} if it has neither.
 *
 * @example Usage
 * ```ts
 * import { z } from "zod";
 * import { defineStage } from "./stage.ts";
 *
 * const passThrough = defineStage({
 *   name: "pass-through",
 *   version: "1",
 *   description: "Gives what it gets.",
 *   inputs: { image: { kind: "image", description: "Any image." } },
 *   outputs: { image: { kind: "image", description: "The same image." } },
 *   parameters: z.strictObject({}),
 *   run: ({ inputs }) => Promise.resolve({ image: inputs.image }),
 * });
 * ```
 */
export function defineStage<P, const I extends Ports, const O extends Ports>(
  definition: StageDefinition<P, I, O>,
): Stage {
  const { run, prepare, ...rest } = definition;
  if (!prepare && !run) {
    throw new InputError(
      "invalid_value",
      `Cannot define the stage "${rest.name}": it must have prepare or run`,
    );
  }
  const stage: Stage<P, I, O> = {
    ...rest,
    prepare: prepare?.bind(definition) ?? (({ parameters }) => ({
      identity: asJson(parameters) as JsonObject,
      run: (context) => run!.call(definition, { ...context, parameters }),
    })),
  };
  return stage as unknown as Stage;
}
