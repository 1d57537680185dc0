// This module is browser compatible.

/**
 * What is said when memory runs out.
 *
 * @module
 */

import { isOutOfMemory } from "../errors/foreign_error.ts";
import { PixstageError, type PixstageErrorOptions } from "../errors/pixstage_error.ts";

/** Memory ran out, and there is no way left that takes less. */
export class OutOfMemoryError extends PixstageError<"out_of_memory"> {
  override name = "OutOfMemoryError";

  /**
   * @param message What could not be done, and what would help.
   * @param options The error behind this one.
   */
  constructor(message: string, options?: PixstageErrorOptions) {
    super("out_of_memory", message, options);
  }
}

/**
 * Waits for work, and says what would help where memory runs out.
 *
 * @param what What cannot be done then: `encode the prompts`.
 * @param advice What would help.
 * @param work The work under way.
 * @throws {OutOfMemoryError} in place of an error that tells that memory ran out, which becomes its cause.
 */
export async function adviseOnMemory<T>(what: string, advice: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof OutOfMemoryError || !isOutOfMemory(cause)) throw cause;
    throw new OutOfMemoryError(`Cannot ${what} as memory ran out: ${advice}`, { cause });
  }
}
