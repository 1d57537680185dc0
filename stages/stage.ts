// This module is browser compatible.

/**
 * Stages: the boxes of a graph. A stage is a plugin with typed ports, a zod schema for its parameters, and `run`. The
 * built-in stages use nothing that a stage from elsewhere could not use.
 *
 * @module
 */

import type { z } from "zod";
import type { Artifact } from "../artifacts/artifact.ts";
import type { StageReport } from "./stage_report.ts";
import type { Models } from "../models/models.ts";
import type { Runtime } from "../runtime/runtime.ts";

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
  readonly optional?: boolean;
}

/** The ports of one side of a stage, by name. */
export type Ports = Readonly<Record<string, Port>>;

/** The artifacts at the input ports: optional ones may be missing. */
export type InputArtifacts<I extends Ports> =
  & { readonly [K in keyof I as I[K] extends { optional: true } ? never : K]: Artifact }
  & { readonly [K in keyof I as I[K] extends { optional: true } ? K : never]?: Artifact };

/** The artifacts at the output ports. */
export type OutputArtifacts<O extends Ports> = { readonly [K in keyof O]: Artifact };

/** What a stage may use before it runs: to refuse bad input while no weight is loaded. */
export interface CheckContext<P> {
  /** The parameters, parsed. */
  readonly parameters: P;
  /** Opens checkpoints by reference. */
  readonly models: Models;
  /** The input ports to which something is connected. */
  readonly connected: readonly string[];
}

/** Keeps states that a stage can go on from, should it be interrupted. */
export interface StageCheckpoint {
  /** What was kept when the stage ran last, with the same inputs and parameters, and was interrupted. */
  readonly saved?: Artifact | undefined;
  /** Offers a state. It is made and kept only where one is due, so it may be offered after every step. */
  offer(make: () => Artifact): Promise<void>;
}

/** What a running stage may use. */
export interface StageContext<P, I extends Ports = Ports> extends CheckContext<P> {
  /** The artifacts at the input ports. */
  readonly inputs: InputArtifacts<I>;
  /** Opens ONNX graphs. */
  readonly runtime: Runtime;
  /** Says when to stop; checked at least once a step. */
  readonly signal: AbortSignal;
  /** Tells of progress. */
  report(event: StageReport): void;
  /** Keeps states to go on from; absent where nothing is kept. */
  readonly checkpoint?: StageCheckpoint | undefined;
  /** Whether somebody looks on: the stage is to report what pictures have come to, where it can. */
  readonly previews?: boolean | undefined;
}

/** A part of a checkpoint that a stage's result depends on. */
export interface ModelPart {
  /** The checkpoint's reference, as in the parameters. */
  readonly model: string;
  /** Which files, where the checkpoint has several: `fp16`. */
  readonly variant?: string | undefined;
  /** The component's folder: `text_encoder`, `transformer`, `vae`; `scheduler` and `tokenizer` too. */
  readonly component: string;
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
  /** Parses the parameters, and lays defaults in. What it gave must parse to itself, and be JSON. */
  readonly parameters: z.ZodType<P>;
  /** The parts of checkpoints that the result depends on. */
  modelParts?(parameters: P): readonly ModelPart[];
  /**
   * What the result depends on beside inputs and {@linkcode Stage.modelParts}: the parameters, but for where checkpoints
   * lie, with what configurations settle where parameters leave it open. Equal values share one cached result. The
   * parameters as they are by default.
   */
  settle?(context: CheckContext<P>): Promise<unknown>;
  /**
   * Refuses what can be refused by reading configurations and the headers of weights alone. Runs for all nodes before any
   * node runs.
   */
  check?(context: CheckContext<P>): Promise<void>;
  /** Makes the outputs. Must have given back all memory when it returns or throws. */
  run(context: StageContext<P, I>): Promise<OutputArtifacts<O>>;
}

/**
 * Defines a stage, inferring the types of its parameters and ports.
 *
 * @param stage The stage.
 * @returns The same stage, its types forgotten, as graphs hold it.
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
export function defineStage<P, const I extends Ports, const O extends Ports>(stage: Stage<P, I, O>): Stage {
  return stage as unknown as Stage;
}
