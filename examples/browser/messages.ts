/**
 * The messages between the page and its worker.
 *
 * @module
 */

import type { RunEvent } from "../../web.ts";

/** A message from the page. */
export interface Order {
  readonly prompt: string;
  readonly seed: number;
  /** Number of denoising steps; the model's default if omitted. */
  readonly steps?: number | undefined;
}

/** A message from the worker. */
export type Answer =
  | { readonly type: "event"; readonly event: RunEvent }
  | { readonly type: "picture"; readonly picture: ImageData; readonly seconds: number }
  | { readonly type: "fault"; readonly message: string };
