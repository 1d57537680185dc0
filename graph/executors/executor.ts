// This module is browser compatible.

/**
 * Executors: where a node runs. All take the same request and give the same artifacts.
 *
 * @module
 */

import type { Artifact } from "../../artifacts/artifact.ts";
import type { StageMemory, StageReport } from "../events.ts";
import type { PlannedNode } from "../plan.ts";

/** One node to be run. */
export interface StageRequest {
  /** The node, its parameters parsed. */
  readonly node: PlannedNode;
  /** The artifacts at its input ports. */
  readonly inputs: Readonly<Record<string, Artifact>>;
}

/** What an executor is given besides the request. */
export interface ExecuteOptions {
  /** Says when to stop. */
  readonly signal: AbortSignal;
  /** Takes the stage's progress. */
  readonly report: (event: StageReport) => void;
}

/** What a stage gave. */
export interface StageResponse {
  /** The artifacts at the output ports. */
  readonly outputs: Readonly<Record<string, Artifact>>;
  /** Memory after release and the peak while it ran, measured in the process that ran it. */
  readonly memory?: StageMemory;
}

/** Runs stages somewhere. */
export interface Executor {
  /** The name that graphs call it by: `inline`. */
  readonly name: string;
  /** Runs one node. */
  execute(request: StageRequest, options: ExecuteOptions): Promise<StageResponse>;
}
