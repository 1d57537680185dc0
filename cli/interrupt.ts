/**
 * Turns Ctrl-C and termination requests into an AbortSignal. A second Ctrl-C ends the program immediately.
 *
 * @module
 */

import process from "node:process";
import { ABORT_STATUS } from "../errors/error_codes.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

const listeners = new Set<() => void>();

/** Returns a signal that Ctrl-C or a termination request aborts. Its reason is an `AbortError`. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(ABORT_STATUS);
    controller.abort(new DOMException("Stopped", "AbortError"));
  };
  for (const name of SIGNALS) process.on(name, interrupt);
  listeners.add(interrupt);
  return controller.signal;
}

/** Restores the system's handling of Ctrl-C and termination requests, which ends the program at once. */
export function leaveInterrupts(): void {
  for (const interrupt of listeners) {
    for (const name of SIGNALS) process.off(name, interrupt);
  }
  listeners.clear();
}
