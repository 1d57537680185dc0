// This module is browser compatible.

/**
 * Executors, which run nodes. All take the same request and return the same artifacts. An executor prepares a
 * node on the machine that will run it, so the answer is valid for that machine's device and weights.
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

/** A request to prepare a node. */
export interface PrepareRequest {
  /** The node, with parsed parameters. */
  readonly node: Pick<PlannedNode, "id" | "stage" | "parameters">;
  /** Outlines of the artifacts at the connected input ports. */
  readonly inputs: Readonly<Record<string, ArtifactOutline>>;
  /** How long weights stay in memory, if that is fixed. */
  readonly residency?: Residency | undefined;
  /** The lowest precision among the listed ways to run. */
  readonly lowestPrecision?: Precision | undefined;
  /** Whether to prepare without weights. Nothing is downloaded then, and the answer names no weights. */
  readonly isTrial?: boolean | undefined;
}

/** The schema of {@linkcode Preparation}, as it travels between machines. */
export const preparationSchema = z.strictObject({
  /**
   * Everything that determines the result in addition to inputs and weights, including the device's numerics.
   */
  identity: z.record(z.string(), z.json()),
  /** The weights that determine the result. */
  weights: z.array(modelUseSchema),
  /** Outlines of the outputs, as far as they are known. */
  outputs: z.record(z.string(), outlineSchema),
  /** Connected inputs that do not affect the result. */
  ignores: z.array(z.string()),
  /** Warnings for the user. */
  warnings: z.array(z.string()),
  /** All ways to run the node, the best first, with the memory that each needs on the executor's machine. */
  memory: z.array(memoryChoiceSchema),
});

/** The result of preparing a node. */
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
   * @throws the signal's reason once it is aborted, even if the stage ignores it.
   */
  execute(
    inputs: Readonly<Record<string, IdentifiedArtifact>>,
    options: ExecuteOptions,
  ): Promise<StageResponse>;
}

/** An artifact that a stage made, either in memory or already in the run's store. */
export type MadeByStage = { readonly artifact: Artifact } | { readonly id: string };

/** Keeps the snapshots of a running stage. */
export interface SnapshotRequest {
  /** When a snapshot is due. */
  readonly policy: SnapshotPolicy;
  /** The snapshot to start from. */
  readonly saved?: IdentifiedArtifact | undefined;
  /** Keeps a snapshot. */
  keep(state: MadeByStage): Promise<void>;
}

/** The options for running a node. */
export interface ExecuteOptions {
  /** Stops the run when aborted. */
  readonly signal: AbortSignal;
  /** The run's store. */
  readonly store: RunStore;
  /** Called with the stage's progress. */
  readonly report: (event: StageReport) => void;
  /** Keeps the stage's snapshots. Absent if none are kept. */
  readonly snapshots?: SnapshotRequest | undefined;
  /** Whether the stage reports intermediate images. */
  readonly previews?: boolean | undefined;
}

/** The outcome of a stage. */
export interface StageResponse {
  /** The artifacts at the output ports. */
  readonly outputs: Readonly<Record<string, MadeByStage>>;
  /** Memory after release, and the peak during the stage, both measured in the process that ran it. */
  readonly memory?: StageMemory | undefined;
}

/** Runs stages. */
export interface Executor {
  /** The name by which graphs refer to it, e.g. `inline`. */
  readonly name: string;
  /** Whether stages run on another machine, with its own memory. */
  readonly isRemote?: boolean | undefined;
  /** Whether each stage runs in a process of its own on this machine, which ends with the stage. */
  readonly startsProcesses?: boolean | undefined;
  /**
   * Prepares a node.
   *
   * @throws what the stage's `prepare` throws.
   */
  prepare(request: PrepareRequest, options: { readonly signal: AbortSignal }): Promise<PreparedNode>;
  /**
   * Returns whether preparing a node downloads weights. A run that downloads is tried first, so that faults
   * surface before the download.
   */
  downloads?(node: PrepareRequest["node"]): Promise<boolean>;
  /** Releases what the executor keeps for further nodes, because the run is over. */
  runEnded?(): Promise<void>;
}
