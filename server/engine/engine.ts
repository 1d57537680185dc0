/**
 * Engines: what runs graphs for the server, anywhere but on its event loop.
 *
 * @module
 */

import { z } from "zod";
import type { RunEvent } from "../../graph/events.ts";
import type { PictureFormat } from "../../images/picture.ts";

/** A graph that is to be run. */
export interface EngineRun {
  /** The graph document. */
  readonly graph: unknown;
  /** Whether denoising tells what it has come to at every step. */
  readonly previews: boolean;
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

/** What a run made, by `node.port`. */
export type EngineResult = Readonly<Record<string, MadeOutput>>;

/** A picture that is to be written as a file. */
export interface PictureOrder {
  /** The id of an image artifact. */
  readonly artifact: string;
  /** Which picture of it, from 0. */
  readonly image: number;
  /** The kind of file. */
  readonly format: PictureFormat;
  /** Quality of JPEG and WebP, 0 to 100. */
  readonly quality?: number | undefined;
  /** The picture is shrunk by the largest whole factor that leaves its longer side this many pixels. */
  readonly atLeast?: number | undefined;
}

/** Runs graphs and writes pictures. */
export interface Engine {
  /** Graphs that run at once. */
  readonly lanes: number;
  /**
   * Refuses what can be refused by reading configurations alone.
   *
   * @throws {PixstageError} with what is refused.
   */
  check(graph: unknown): Promise<void>;
  /**
   * Runs a graph.
   *
   * @throws {PixstageError} the error of the run, or the signal's reason.
   */
  run(run: EngineRun): Promise<EngineResult>;
  /**
   * Writes a picture as a file.
   *
   * @returns The file; `undefined` where there is no such artifact or picture.
   */
  picture(order: PictureOrder): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Ends all that runs. */
  close(): Promise<void>;
}
