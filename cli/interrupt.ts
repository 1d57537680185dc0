/**
 * Ctrl-C and termination as an AbortSignal. A second Ctrl-C ends the program at once.
 *
 * @module
 */

import process from "node:process";
import { ABORT_STATUS } from "../errors/error_codes.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

const listeners = new Set<() => void>();

/** A signal that is aborted by Ctrl-C or by a request to terminate; its reason is an `AbortError`. */
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

/** Leaves Ctrl-C and requests to terminate to the system again. */
export function leaveInterrupts(): void {
  for (const interrupt of listeners) {
    for (const name of SIGNALS) process.off(name, interrupt);
  }
  listeners.clear();
}
