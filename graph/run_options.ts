// This module is browser compatible.

/**
 * The options of a run, and its outcome.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
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

/** A file that a graph names, read. */
export interface ReadFile {
  /** The artifact that it holds. */
  readonly artifact: Artifact;
  /** Its lineage, where the file tells. */
  readonly provenance?: Provenance | undefined;
}

/** What preparing a graph needs. */
export interface PrepareOptions extends MemoryLimits {
  /** The stages that the graph may name. */
  readonly registry: StageRegistry;
  /** Where nodes run; the first is the default for nodes that name none. */
  readonly executors: readonly [Executor, ...Executor[]];
  /** Which executor runs a node, by node id or stage name; counts above the graph's own word. */
  readonly placement?: ByNode<string> | undefined;
  /** How long weights are held, by node id or stage name; `*` stands for all others. Counts above the graph's own word. */
  readonly residency?: ByNode<Residency> | undefined;
  /** Whether the plan is all that is wanted: then one that does not fit is no fault. */
  readonly isTrial?: boolean | undefined;
  /** The lowest precision that may be chosen to stay within the limits of memory; the node's own by default. */
  readonly lowestPrecision?: Precision | undefined;
  /** Keeps artifacts, and knows what was made before. Default is a store that is forgotten after the run. */
  readonly store?: RunStore | undefined;
  /** Reads an artifact that the graph names by `{"file": …}`; a graph that names files is refused without it. */
  readonly readFile?: ((path: string) => Promise<ReadFile>) | undefined;
  /** Takes the events, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Stops the run at the next step. */
  readonly signal?: AbortSignal | undefined;
  /** Runs this node and its dependencies, nothing else. */
  readonly until?: string | undefined;
  /** Outputs that are wanted besides those of the last nodes: `denoise.latents`. Those that do not run are left out. */
  readonly outputs?: readonly string[] | undefined;
}

/** What a run needs and may use. */
export interface RunOptions extends PrepareOptions {
  /**
   * When states of running stages are kept, to go on from after an interruption; `false` keeps none.
   *
   * @default {{ everyMs: 5000 }}
   */
  readonly snapshots?: SnapshotPolicy | false | undefined;
  /** States that nodes begin from, by node id: ids of artifacts in the store. The store's own are found without it. */
  readonly saved?: Readonly<Record<string, string>> | undefined;
  /**
   * Whether denoising reports intermediate images at every step.
   *
   * @default {false}
   */
  readonly previews?: boolean | undefined;
}

/** An artifact of a run, known by its id. */
export interface OutputReference {
  /** SHA-256 of its content. */
  readonly id: string;
  /** Its kind. */
  readonly kind: string;
  /** Its lineage. */
  readonly provenance: Provenance;
}

/** An artifact that a run made or found in the store. */
export interface MadeArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
  /** Its lineage. */
  readonly provenance: Provenance;
}

/** The artifacts of the nodes from which no other node takes, and of `outputs`, by `node.port`. */
export type RunResult = ReadonlyMap<string, MadeArtifact>;
