/**
 * Engines: what runs graphs for the server, anywhere but on its event loop.
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

/** A graph that is to be run. */
export interface EngineRun {
  /** The graph document. */
  readonly graph: unknown;
  /** Whether denoising reports intermediate images at every step. */
  readonly previews: boolean;
  /** When states of running stages are kept; every five seconds by default. */
  readonly snapshots?: SnapshotPolicy | undefined;
  /** States that nodes begin from, by node id: ids of artifacts in the store. */
  readonly saved?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds that what the run has loaded stays afterwards; the engine's own unless given. */
  readonly keepAliveMs?: number | undefined;
  /** Takes the events, in order. */
  readonly onEvent: (event: RunEvent) => void;
  /** Stops the run at the next step. */
  readonly signal: AbortSignal;
}

/** The schema of {@linkcode MadeOutput}. */
export const madeOutputSchema = z.object({
  /** SHA-256 of its content. */
  id: z.string(),
  /** The artifact's kind. */
  kind: z.string(),
  /** How many pictures it holds, if that is what it holds. */
  images: z.int().positive().optional(),
  /** Their width in pixels. */
  width: z.int().positive().optional(),
  /** Their height in pixels. */
  height: z.int().positive().optional(),
  /** The seed of each. */
  seeds: z.array(z.string()).optional(),
});

/** An artifact that a run made or found in the store. */
export type MadeOutput = z.infer<typeof madeOutputSchema>;

/** The outputs of a run, by `node.port`. */
export type EngineResult = Readonly<Record<string, MadeOutput>>;

/** What is known of a run before it begins. */
export interface CheckedGraph {
  /** Sentences that the user should read. */
  readonly warnings: readonly string[];
  /** How the run would use memory. */
  readonly memory: JsonObject;
  /** The pictures that it would make. */
  readonly pictures: PicturesOfRun;
}

/** Runs graphs. */
export interface Engine {
  /** Graphs that run at once. */
  readonly lanes: number;
  /** Whether processes of its own run the stages and are kept between runs. */
  readonly keepsHosts: boolean;
  /**
   * Prepares one stage, as for an executor elsewhere.
   *
   * @throws {PixstageError} with what is refused.
   */
  prepare(request: PrepareRequest, signal: AbortSignal): Promise<Preparation>;
  /**
   * Refuses what can be refused by reading configurations and the headers of weights and inputs alone.
   *
   * @param graph The graph document.
   * @param signal Stops the check.
   * @throws {PixstageError} with what is refused.
   */
  check(graph: unknown, signal: AbortSignal): Promise<CheckedGraph>;
  /**
   * Runs a graph.
   *
   * @throws {PixstageError} the error of the run, or the signal's reason.
   */
  run(run: EngineRun): Promise<EngineResult>;
  /** The processes that run stages or wait for some, with the models whose weights they hold. */
  hosts(): readonly WarmHost[];
  /**
   * Ends the processes that hold a model, or all of them; one that is at work ends with its run.
   *
   * @param model The model; all otherwise.
   * @returns The models whose weights are given back.
   */
  unload(model?: string): Promise<readonly string[]>;
  /** Ends all that runs. */
  close(): Promise<void>;
}
