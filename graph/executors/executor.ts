// This module is browser compatible.

/**
 * Executors: where a node runs. All take the same request and give the same artifacts. An executor prepares a node on the
 * machine that will run it, so that the answer holds for that machine's device and weights.
 *
 * @module
 */

import { z } from "zod";
import type { Artifact, JsonObject } from "../../artifacts/artifact.ts";
import { type ArtifactOutline, outlineSchema } from "../../artifacts/outline.ts";
import { type ModelUse, modelUseSchema } from "../../artifacts/store/stage_record.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import { type MemoryChoice, memoryChoiceSchema } from "../../models/memory.ts";
import type { Precision } from "../../models/precision.ts";
import type { Residency } from "../../models/segments.ts";
import type { StageReport } from "../../stages/stage_report.ts";
import type { StageMemory } from "../events.ts";
import type { PlannedNode } from "../plan.ts";
import type { SnapshotPolicy } from "../snapshots.ts";

/** An artifact, and the SHA-256 of its content. */
export interface IdentifiedArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
}

/** A node that is to be prepared. */
export interface PrepareRequest {
  /** The node, its parameters parsed. */
  readonly node: Pick<PlannedNode, "id" | "stage" | "parameters">;
  /** Outlines of the artifacts that will be at the connected input ports. */
  readonly inputs: Readonly<Record<string, ArtifactOutline>>;
  /** How long weights are held, where that is fixed. */
  readonly residency?: Residency | undefined;
  /** The lowest precision among the ways to run that are listed. */
  readonly lowestPrecision?: Precision | undefined;
  /** Whether the node is only tried: nothing is downloaded then, and the answer names no weights. */
  readonly isTrial?: boolean | undefined;
}

/** The schema of what preparing a node tells, as it travels between machines. */
export const preparationSchema = z.strictObject({
  /** What the result depends on beside inputs and weights; the device's numerics included. */
  identity: z.record(z.string(), z.json()),
  /** The weights that the result depends on. */
  weights: z.array(modelUseSchema),
  /** Outlines of the outputs, as far as they are known. */
  outputs: z.record(z.string(), outlineSchema),
  /** Connected inputs that the result does not depend on. */
  ignores: z.array(z.string()),
  /** Sentences that the user should read. */
  warnings: z.array(z.string()),
  /** All ways to run, the best first, with the memory of the machine that runs them. */
  memory: z.array(memoryChoiceSchema),
});

/** What preparing a node tells. */
export interface Preparation {
  readonly identity: JsonObject;
  readonly weights: readonly ModelUse[];
  readonly outputs: Readonly<Record<string, ArtifactOutline>>;
  readonly ignores: readonly string[];
  readonly warnings: readonly string[];
  readonly memory: readonly MemoryChoice[];
}

/** A node that is ready to run where it was prepared. */
export interface PreparedNode extends Preparation {
  /**
   * Runs the node once.
   *
   * @param inputs The artifacts at its input ports.
   * @throws the signal's reason once it is aborted, whether or not the stage has noticed.
   */
  execute(
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    options: ExecuteOptions,
  ): Promise<StageResponse>;
}

/** An artifact that a stage made: at hand, or in the run's store already. */
export type MadeByStage = { readonly artifact: Artifact } | { readonly id: string };

/** Keeps the states of a running stage. */
export interface SnapshotRequest {
  /** When a state is due. */
  readonly policy: SnapshotPolicy;
  /** The state to begin from. */
  readonly saved?: IdentifiedArtifact | undefined;
  /** Keeps a state. */
  keep(state: MadeByStage): Promise<void>;
}

/** What an executor is given to run a node. */
export interface ExecuteOptions {
  /** Says when to stop. */
  readonly signal: AbortSignal;
  /** The run's store. */
  readonly store: RunStore;
  /** Takes the stage's progress. */
  readonly report: (event: StageReport) => void;
  /** Keeps the stage's states; absent where none are kept. */
  readonly snapshots?: SnapshotRequest | undefined;
  /** Whether the stage is to report intermediate images. */
  readonly previews?: boolean | undefined;
}

/** The outcome of a stage. */
export interface StageResponse {
  /** The artifacts at the output ports. */
  readonly outputs: Readonly<Record<string, MadeByStage>>;
  /** Memory after release and the peak while it ran, measured in the process that ran it. */
  readonly memory?: StageMemory | undefined;
}

/** Runs stages somewhere. */
export interface Executor {
  /** The name that graphs call it by: `inline`. */
  readonly name: string;
  /** Whether its stages run on another machine, whose memory is its own. */
  readonly isRemote?: boolean | undefined;
  /**
   * Prepares a node.
   *
   * @throws what the stage's `prepare` throws.
   */
  prepare(request: PrepareRequest, options: { readonly signal: AbortSignal }): Promise<PreparedNode>;
  /**
   * Whether preparing a node downloads weights. Its run is then tried before, so that what cannot work is
   * refused without them.
   */
  downloads?(node: PrepareRequest["node"]): Promise<boolean>;
  /** Ends what waits for more nodes: the run is over. */
  runEnded?(): Promise<void>;
}
