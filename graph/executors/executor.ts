// This module is browser compatible.

/**
 * Executors: where a node runs. All take the same request and give the same artifacts.
 *
 * @module
 */

import type { Artifact } from "../../artifacts/artifact.ts";
import type { RunStore } from "../../artifacts/store/store.ts";
import type { CheckpointPolicy } from "../checkpoints.ts";
import type { StageMemory } from "../events.ts";
import type { StageReport } from "../../stages/stage_report.ts";
import type { PlannedNode } from "../plan.ts";

/** An artifact, and the SHA-256 of its content. */
export interface IdentifiedArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
}

/** One node to be run. */
export interface StageRequest {
  /** The node, its parameters parsed. */
  readonly node: PlannedNode;
  /** The artifacts at its input ports. */
  readonly inputs: Readonly<Record<string, IdentifiedArtifact>>;
}

/** An artifact that a stage made: at hand, or in the run's store already. */
export type MadeByStage = { readonly artifact: Artifact } | { readonly id: string };

/** Keeps the states of a running stage. */
export interface CheckpointRequest {
  /** When a state is due. */
  readonly policy: CheckpointPolicy;
  /** The state to begin from. */
  readonly saved?: IdentifiedArtifact | undefined;
  /** Keeps a state. */
  keep(state: MadeByStage): Promise<void>;
}

/** What an executor is given besides the request. */
export interface ExecuteOptions {
  /** Says when to stop. */
  readonly signal: AbortSignal;
  /** The run's store. */
  readonly store: RunStore;
  /** Takes the stage's progress. */
  readonly report: (event: StageReport) => void;
  /** Keeps the stage's states; absent where none are kept. */
  readonly checkpoint?: CheckpointRequest | undefined;
  /** Whether the stage is to report what pictures have come to. */
  readonly previews?: boolean | undefined;
}

/** What a stage gave. */
export interface StageResponse {
  /** The artifacts at the output ports. */
  readonly outputs: Readonly<Record<string, MadeByStage>>;
  /** Memory after release and the peak while it ran, measured in the process that ran it. */
  readonly memory?: StageMemory;
}

/** Runs stages somewhere. */
export interface Executor {
  /** The name that graphs call it by: `inline`. */
  readonly name: string;
  /**
   * Runs one node.
   *
   * @throws the signal's reason once it is aborted, whether or not the stage has noticed.
   */
  execute(request: StageRequest, options: ExecuteOptions): Promise<StageResponse>;
}
