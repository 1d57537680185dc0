/**
 * Ctrl-C and termination as an AbortSignal. A second Ctrl-C ends the program at once.
 *
 * @module
 */

/** The status that a shell expects of a program that a signal ended: 128 and the signal's number. */
export const INTERRUPT_STATUS = 130;

/** A run that the user stopped. */
export class InterruptedError extends Error {
  override name = "InterruptedError";
}

/** A signal that is aborted by Ctrl-C or by a request to terminate. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) Deno.exit(INTERRUPT_STATUS);
    controller.abort(new InterruptedError("Stopped"));
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, interrupt);
  return controller.signal;
}
