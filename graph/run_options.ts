// This module is browser compatible.

/**
 * The options and the outcome of a run.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import type { ArtifactOutline } from "../artifacts/outline.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { Precision } from "../models/precision.ts";
import type { Residency } from "../models/segments.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { RunEvent } from "./events.ts";
import type { Executor } from "./executors/executor.ts";
import type { MemoryLimits } from "./memory_plan.ts";
import type { ByNode } from "./placement.ts";
import type { Provenance } from "./provenance.ts";
import type { SnapshotPolicy } from "./snapshots.ts";

/** The content of a file that a graph names. */
export interface ReadFile {
  /** The artifact in the file. */
  readonly artifact: Artifact;
  /** The artifact's lineage, if the file records it. */
  readonly provenance?: Provenance | undefined;
}

/** The options for preparing a graph. */
export interface PrepareOptions extends MemoryLimits {
  /** The stages that the graph may name. */
  readonly registry: StageRegistry;
  /** The available executors. The first is the default. */
  readonly executors: readonly [Executor, ...Executor[]];
  /** The executor of a node, by node id or stage name. Takes precedence over the graph's own value. */
  readonly placement?: ByNode<string> | undefined;
  /**
   * How long weights stay in memory, by node id or stage name; `*` stands for all others. Takes precedence
   * over the graph's own value.
   */
  readonly residency?: ByNode<Residency> | undefined;
  /** Whether only the plan is wanted. A plan that does not fit into memory is then not an error. */
  readonly isTrial?: boolean | undefined;
  /**
   * The lowest precision that may be chosen to stay within the memory limits. The default is the node's own
   * precision.
   */
  readonly lowestPrecision?: Precision | undefined;
  /** Keeps artifacts and earlier results. The default is a store in memory that lasts for the run. */
  readonly store?: RunStore | undefined;
  /**
   * Reads an artifact that the graph names by `{"file": …}`. Without it, a graph that names files is refused.
   */
  readonly readFile?: ((path: string) => Promise<ReadFile>) | undefined;
  /** How artifacts that the graph names by id were made, by id, where the store has no record of it. */
  readonly lineages?: ReadonlyMap<string, Provenance> | undefined;
  /** Called with the events, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Stops the run at the next step when aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Runs only this node and its dependencies. */
  readonly until?: string | undefined;
  /**
   * Outputs to return in addition to those of the last nodes, e.g. `denoise.latents`. Outputs of nodes that
   * do not run are left out.
   */
  readonly outputs?: readonly string[] | undefined;
}

/** The options for running a graph. */
export interface RunOptions extends PrepareOptions {
  /**
   * When to store snapshots of running stages, from which an interrupted run continues. `false` keeps none.
   *
   * @default {{ everyMs: 5000 }}
   */
  readonly snapshots?: SnapshotPolicy | false | undefined;
  /**
   * Snapshots that nodes start from, by node id: ids of artifacts in the store. The store's own snapshots are
   * found without this option.
   */
  readonly saved?: Readonly<Record<string, string>> | undefined;
  /**
   * Whether denoising reports intermediate images at every step.
   *
   * @default {false}
   */
  readonly previews?: boolean | undefined;
  /**
   * Called when all nodes are prepared, with what is known about the outputs that the run returns, by
   * `node.port`. No weight has been read by then. The run ends if it throws.
   */
  readonly onPrepared?:
    | ((outlines: ReadonlyMap<string, ArtifactOutline>) => void | Promise<void>)
    | undefined;
}

/** An output artifact of a run, by id. */
export interface OutputReference {
  /** SHA-256 of its content. */
  readonly id: string;
  /** Kind of the artifact. */
  readonly kind: string;
  /** Lineage of the artifact. */
  readonly provenance: Provenance;
}

/** An artifact that a run made or found in the store. */
export interface MadeArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
  /** Lineage of the artifact. */
  readonly provenance: Provenance;
}

/** The artifacts of `outputs` and of the last nodes, which no other node reads from, by `node.port`. */
export type RunResult = ReadonlyMap<string, MadeArtifact>;
