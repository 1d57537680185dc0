/**
 * What the page and its worker say to each other.
 *
 * @module
 */

import type { RunEvent } from "../../web.ts";

/** From the page. */
export interface Order {
  readonly prompt: string;
  readonly seed: number;
  /** Denoising steps; the model's own number if left out. */
  readonly steps?: number | undefined;
}

/** From the worker. */
export type Answer =
  | { readonly type: "event"; readonly event: RunEvent }
  | { readonly type: "picture"; readonly picture: ImageData; readonly seconds: number }
  | { readonly type: "fault"; readonly message: string };
