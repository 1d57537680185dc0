/**
 * Lets waiting events through between computations: signals and connections.
 *
 * @module
 */

import { setTimeout } from "node:timers/promises";

/** Time after which events get a turn, in milliseconds. A turn takes 1 to 2 ms. */
const INTERVAL_MS = 200;

let last = performance.now();

/**
 * Lets waiting events through if none had a turn for 0.2 s. onnxruntime-node computes on the thread of the event
 * loop. While the next computation is always ready, Deno never waits, and looks for signals and connections only
 * now and then: after Ctrl-C, up to fourteen more steps ran. A timer makes it wait. A message to itself often does not.
 */
export async function letEventsThrough(): Promise<void> {
  if (performance.now() - last < INTERVAL_MS) return;
  await setTimeout(0);
  last = performance.now();
}
