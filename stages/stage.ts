// This module is browser compatible.

/**
 * Stages: the boxes of a graph. A stage is a plugin with typed ports, a zod schema for its parameters, and
 * `prepare`. The built-in stages use nothing that a third-party stage could not use.
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
  /** The kind of artifact that passes through it. */
  readonly kind: string;
  /** A sentence that describes it to people. */
  readonly description: string;
  /**
   * Whether a graph can leave this input unconnected. Outputs are never optional.
   *
   * @default {false}
   */
  readonly optional?: boolean | undefined;
}

/** The ports of one side of a stage, by name. */
export type Ports = Readonly<Record<string, Port>>;

/** A value for each input port. Those of optional ports can be missing. */
type ByInput<I extends Ports, T> =
  & { readonly [K in keyof I as I[K] extends { optional: true } ? never : K]: T }
  & { readonly [K in keyof I as I[K] extends { optional: true } ? K : never]?: T };

/** The artifacts at the input ports. Those of optional ports can be missing. */
export type InputArtifacts<I extends Ports> = ByInput<I, Artifact>;

/** The artifacts at the output ports. */
export type OutputArtifacts<O extends Ports> = { readonly [K in keyof O]: Artifact };

/** The environment that a stage is prepared for, and what it can read there. */
export interface PrepareContext<P, I extends Ports = Ports> {
  /** The parameters, parsed. */
  readonly parameters: P;
  /** Outlines of the artifacts at the connected input ports. */
  readonly inputs: ByInput<I, ArtifactOutline>;
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** The device that the stage will run on. */
  readonly device: Pick<Runtime, "device" | "traits">;
  /** How long the stage keeps its weights in memory, if that is fixed. */
  readonly residency?: Residency | undefined;
  /**
   * The lowest precision among the ways to run that `memory` lists. The default is the precision in the
   * parameters.
   */
  readonly lowestPrecision?: Precision | undefined;
  /** Stops reading when aborted. */
  readonly signal: AbortSignal;
}

/** Keeps states from which a stage can continue if it is interrupted. */
export interface Snapshots {
  /**
   * The state that was kept when the stage last ran with the same inputs and parameters and was interrupted.
   */
  readonly saved?: Artifact | undefined;
  /** Offers a state. It is only made and kept if one is due, so a stage can offer one after every step. */
  offer(make: () => Artifact): Promise<void>;
}

/** The resources of a running stage. */
export interface RunContext<I extends Ports = Ports> {
  /** The artifacts at the input ports. */
  readonly inputs: InputArtifacts<I>;
  /** Opens ONNX graphs. */
  readonly runtime: Runtime;
  /** Stops the stage when aborted. Check it at least once per step. */
  readonly signal: AbortSignal;
  /** Reports progress. */
  report(event: StageReport): void;
  /** Keeps states to continue from. Absent if none are kept. */
  readonly snapshots?: Snapshots | undefined;
  /** Whether previews were requested. Stages that can should report intermediate images. */
  readonly previews?: boolean | undefined;
}

/** Weights, or another part of a checkpoint, that determine a result. */
export interface WeightUse extends ModelReference {
  /** The component's folder, e.g. `text_encoder` or `tokenizer`. */
  readonly component: string;
  /**
   * The component; or the SHA-256 of files that are not a component; or a function that computes it when a
   * run starts.
   */
  readonly content: Component | string | (() => Promise<string>);
}

/** A stage that is ready to run once. Everything is read except weights and inputs. */
export interface PreparedStage<I extends Ports = Ports, O extends Ports = Ports> {
  /**
   * Everything that determines the result in addition to inputs and weights, fully resolved: parameters with
   * the defaults of configurations filled in, and versions of recipes. It is an allow-list: equal values
   * share one cached result. The location of a checkpoint is not part of it.
   */
  readonly identity: JsonObject;
  /** The weights that determine the result. */
  readonly weights?: readonly WeightUse[] | undefined;
  /** Outlines of the outputs, as far as they are known. */
  readonly outputs?: { readonly [K in keyof O]?: ArtifactOutline } | undefined;
  /** Connected inputs that do not affect the result. Nodes that only they need do not run. */
  readonly ignores?: readonly (keyof I & string)[] | undefined;
  /** Warnings for the user, e.g. about a truncated prompt or a parameter without effect. */
  readonly warnings?: readonly string[] | undefined;
  /** All ways to run, the best first, with the predicted memory of each. */
  readonly memory?: readonly MemoryChoice[] | undefined;
  /** Computes the outputs. It must have released all memory when it returns or throws. */
  run(context: RunContext<I>): Promise<OutputArtifacts<O>>;
}

/** A stage whose result is one row per element of a list parameter, so that each row is cached separately. */
export interface BatchOver {
  /** Name of the list parameter. `identity` contains it under the same name. */
  readonly parameter: string;
  /** The output with one row per element. */
  readonly output: string;
  /** Splits the output into its rows. */
  split(artifact: Artifact): Artifact[];
  /** Joins rows to one output. */
  join(rows: readonly Artifact[]): Artifact;
}

/** A stage. */
export interface Stage<P = unknown, I extends Ports = Ports, O extends Ports = Ports> {
  /** The name by which graphs refer to it. */
  readonly name: string;
  /** Version of the stage. It changes whenever the same input would produce another result. */
  readonly version: string;
  /** A sentence that describes it to people. */
  readonly description: string;
  /** Input ports. */
  readonly inputs: I;
  /** Output ports. */
  readonly outputs: O;
  /** Parses the parameters and fills in defaults. Its output must be JSON that parses to itself. */
  readonly parameters: z.ZodType<P>;
  /** Present if the stage works row by row. Rows of several nodes are then computed in one run. */
  readonly batch?: BatchOver | undefined;
  /**
   * Resolves what one node will do, on the machine that will run it. Reads configurations, the headers of
   * weights and the outlines of the inputs, and refuses what cannot work. It runs for all nodes before any
   * node runs.
   */
  prepare(context: PrepareContext<P, I>): Promise<PreparedStage<I, O>> | PreparedStage<I, O>;
}

/**
 * A stage as its author writes it: with `prepare`, or with `run` alone if the result depends only on
 * parameters and inputs.
 */
export interface StageDefinition<P, I extends Ports, O extends Ports>
  extends Omit<Stage<P, I, O>, "prepare"> {
  /** See {@linkcode Stage.prepare}. */
  prepare?(context: PrepareContext<P, I>): Promise<PreparedStage<I, O>> | PreparedStage<I, O>;
  /** Computes the outputs, instead of `prepare`. The result then depends on all parameters. */
  run?(context: RunContext<I> & { readonly parameters: P }): Promise<OutputArtifacts<O>>;
}

/**
 * Defines a stage, inferring the types of its parameters and ports.
 *
 * @param definition The stage, with `prepare` or with `run`.
 * @returns The stage with its types erased, as graphs use it.
 * @throws {InputError} if it has neither `prepare` nor `run`.
 *
 * @example Usage
 * ```ts
 * import { z } from "zod";
 * import { defineStage } from "./stage.ts";
 *
 * const passThrough = defineStage({
 *   name: "pass-through",
 *   version: "1",
 *   description: "Returns its input unchanged.",
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
      `Cannot define stage "${rest.name}" without "prepare" or "run"`,
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
