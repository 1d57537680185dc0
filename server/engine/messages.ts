/**
 * What the server and its engine's workers say to each other.
 *
 * @module
 */

import type { RunEvent } from "../../graph/events.ts";
import type { Residency } from "../../models/segments.ts";
import type { Device } from "../../runtime/device.ts";
import type { SerializedError } from "../../errors/serialized_error.ts";
import type { ModelEntry } from "../../hub/listed_models.ts";
import type { EngineResult, PictureOrder } from "./engine.ts";

/** How a worker is set up. */
export interface WorkerSetup {
  /** The models that runs may name. */
  readonly models: readonly ModelEntry[];
  /** The folder of the store. */
  readonly store: string;
  /** Where to run: `cpu`. */
  readonly device?: Device | undefined;
  /** Threads of one operation. */
  readonly threads?: number | undefined;
  /** How long the weights of all stages are held; as it fits them otherwise. */
  readonly residency?: Residency | undefined;
}

/** What a worker is asked for; answers carry the same `id`. */
export type WorkerTask =
  | { readonly type: "check"; readonly graph: unknown }
  | { readonly type: "run"; readonly graph: unknown; readonly previews: boolean }
  | { readonly type: "picture"; readonly order: PictureOrder };

/** A message to a worker. */
export type ToWorker =
  | { readonly type: "setup"; readonly setup: WorkerSetup }
  | { readonly type: "cancel"; readonly id: number }
  | WorkerTask & { readonly id: number };

/** What a task gives. */
export interface WorkerResults {
  readonly check: undefined;
  readonly run: EngineResult;
  readonly picture: Uint8Array<ArrayBuffer> | undefined;
}

/** A message from a worker. */
export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "event"; readonly id: number; readonly event: RunEvent }
  | { readonly type: "result"; readonly id: number; readonly result: WorkerResults[keyof WorkerResults] }
  | { readonly type: "error"; readonly id: number; readonly error: SerializedError };
