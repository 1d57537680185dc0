/**
 * Engines run graphs for the server, off its event loop.
 *
 * @module
 */

import { z } from "zod";
import type { JsonObject } from "../../artifacts/artifact.ts";
import type { RunEvent } from "../../graph/events.ts";
import type { Preparation, PrepareRequest } from "../../graph/executors/executor.ts";
import type { WarmHost } from "../../graph/hosts/warm_hosts.ts";
import type { SnapshotPolicy } from "../../graph/snapshots.ts";
import type { PicturesOfRun } from "./pictures_of_run.ts";

/** A graph to run, with the options of the run. */
export interface EngineRun {
  /** The graph document. */
  readonly graph: unknown;
  /** Whether denoising reports an intermediate image at every step. */
  readonly previews: boolean;
  /** When to save snapshots of running stages; every five seconds by default. */
  readonly snapshots?: SnapshotPolicy | undefined;
  /** Snapshots that nodes start from, by node id: ids of artifacts in the store. */
  readonly saved?: Readonly<Record<string, string>> | undefined;
  /**
   * Milliseconds that the weights loaded by this run stay in memory afterwards. Defaults to the engine's own
   * setting.
   */
  readonly keepAliveMs?: number | undefined;
  /** Receives the events, in order. */
  readonly onEvent: (event: RunEvent) => void;
  /** Stops the run at the next step. */
  readonly signal: AbortSignal;
}

/** Schema of {@linkcode MadeOutput}. */
export const madeOutputSchema = z.object({
  /** SHA-256 of the artifact's content. */
  id: z.string(),
  /** The artifact's kind. */
  kind: z.string(),
  /** Number of pictures, if the artifact contains pictures. */
  images: z.int().positive().optional(),
  /** Width of the pictures in pixels. */
  width: z.int().positive().optional(),
  /** Height of the pictures in pixels. */
  height: z.int().positive().optional(),
  /** The seed of each picture. */
  seeds: z.array(z.string()).optional(),
});

/** An artifact that a run made or found in the store. */
export type MadeOutput = z.infer<typeof madeOutputSchema>;

/** The outputs of a run, by `node.port`. */
export type EngineResult = Readonly<Record<string, MadeOutput>>;

/** Facts about a run that are known before it starts. */
export interface CheckedGraph {
  /** Warnings for the user, one sentence each. */
  readonly warnings: readonly string[];
  /** Predicted memory use of the run. */
  readonly memory: JsonObject;
  /** The pictures that the run would make. */
  readonly pictures: PicturesOfRun;
}

/** Runs graphs. */
export interface Engine {
  /** Number of graphs that run at once. */
  readonly concurrency: number;
  /** Whether the engine runs stages in its own processes and keeps those processes between runs. */
  readonly keepsHosts: boolean;
  /**
   * Prepares one stage on behalf of an executor on another machine.
   *
   * @throws {PixstageError} if the stage refuses the request.
   */
  prepare(request: PrepareRequest, signal: AbortSignal): Promise<Preparation>;
  /**
   * Validates a graph. Reads only configurations and the headers of weights and inputs.
   *
   * @param graph The graph document.
   * @param signal Stops the check.
   * @throws {PixstageError} if the graph is refused.
   */
  check(graph: unknown, signal: AbortSignal): Promise<CheckedGraph>;
  /**
   * Runs a graph.
   *
   * @throws {PixstageError} if the run fails. If the signal is aborted, its reason is thrown instead.
   */
  run(run: EngineRun): Promise<EngineResult>;
  /** Returns the running and idle stage processes, with the models whose weights they have loaded. */
  hosts(): readonly WarmHost[];
  /**
   * Ends the processes that have loaded a model, or all processes. A busy process ends after its run.
   *
   * @param model The model; all models if omitted.
   * @returns The models whose weights are unloaded.
   */
  unload(model?: string): Promise<readonly string[]>;
  /** Stops all runs. */
  close(): Promise<void>;
}
