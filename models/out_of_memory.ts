// This module is browser compatible.

/**
 * Errors that tell the user what would help when memory runs out.
 *
 * @module
 */

import { isOutOfMemory } from "../errors/foreign_error.ts";
import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";

/** Memory ran out, and no way to run with less memory is left. */
export class OutOfMemoryError extends PixstageError<"out_of_memory"> {
  override name = "OutOfMemoryError";

  /**
   * @param message What failed, and what would help.
   * @param options The cause, and details.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super("out_of_memory", message, options);
  }
}

/**
 * Awaits work and, if memory runs out, throws an error that says what would help.
 *
 * @param what The task, as a verb phrase: `encode the prompts`.
 * @param advice What would help.
 * @param work The pending work.
 * @throws {OutOfMemoryError} instead of an out-of-memory error of the runtime, which becomes its cause.
 */
export async function adviseOnMemory<T>(what: string, advice: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof OutOfMemoryError || !isOutOfMemory(cause)) throw cause;
    throw new OutOfMemoryError(`Cannot ${what} because memory ran out: ${advice}`, { cause });
  }
}
