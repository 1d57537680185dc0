/**
 * Ctrl-C and termination as an AbortSignal. A second Ctrl-C ends the program at once.
 *
 * @module
 */

import { ABORT_STATUS } from "../errors/error_codes.ts";

/** A signal that is aborted by Ctrl-C or by a request to terminate; its reason is an `AbortError`. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) Deno.exit(ABORT_STATUS);
    controller.abort(new DOMException("Stopped", "AbortError"));
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, interrupt);
  return controller.signal;
}
