// This module is browser compatible.

/**
 * What a run of a graph is given, and what it gives.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import type { StageRegistry } from "../stages/registry.ts";
import type { CheckpointPolicy } from "./checkpoints.ts";
import type { RunEvent } from "./events.ts";
import type { Executor } from "./executors/executor.ts";
import type { KeyOptions } from "./node_key.ts";
import type { Placement } from "./placement.ts";
import type { Provenance } from "./provenance.ts";

/** A file that a graph names, read. */
export interface ReadFile {
  /** What it holds. */
  readonly artifact: Artifact;
  /** How it came to be, where the file tells. */
  readonly provenance?: Provenance | undefined;
}

/** What a run needs and may use. */
export interface RunOptions extends KeyOptions {
  /** The stages that the graph may name. */
  readonly registry: StageRegistry;
  /** Where nodes run; the first is the default for nodes that name none. */
  readonly executors: readonly [Executor, ...Executor[]];
  /** Which executor runs a node, by node id or stage name; counts above what the graph says. */
  readonly placement?: Placement | undefined;
  /** Keeps what is made, and knows what was made before. Default is one that is forgotten after the run. */
  readonly store?: RunStore | undefined;
  /**
   * When states of running stages are kept, to go on from after an interruption; `false` keeps none.
   *
   * @default {{ everyMs: 5000 }}
   */
  readonly checkpoints?: CheckpointPolicy | false | undefined;
  /**
   * Whether denoising reports what the pictures have come to at every step.
   *
   * @default {false}
   */
  readonly previews?: boolean | undefined;
  /** Reads an artifact that the graph names by `{"file": …}`; a graph that names files is refused without it. */
  readonly readFile?: ((path: string) => Promise<ReadFile>) | undefined;
  /** Takes the events, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Stops the run at the next step. */
  readonly signal?: AbortSignal | undefined;
  /** Runs this node and what it depends on, nothing else. */
  readonly until?: string | undefined;
  /** Outputs to give besides those of the last nodes: `denoise.latents`. Those that do not run are left out. */
  readonly outputs?: readonly string[] | undefined;
}

/** An artifact that a run made or found in the store. */
export interface MadeArtifact {
  /** SHA-256 of its content. */
  readonly id: string;
  /** The artifact. */
  readonly artifact: Artifact;
  /** How it came to be. */
  readonly provenance: Provenance;
}

/**
 * What a run made: the artifacts of the nodes from which no other node takes, and of `outputs`, by `node.port`.
 */
export type RunResult = ReadonlyMap<string, MadeArtifact>;
