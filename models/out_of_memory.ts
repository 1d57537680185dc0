// This module is browser compatible.

/**
 * What is said when memory runs out.
 *
 * @module
 */

/** Memory ran out, and there is no way left that takes less. */
export class OutOfMemoryError extends Error {
  override name = "OutOfMemoryError";
}

/** How ONNX Runtime, its devices and the language say that memory ran out. */
const OUT_OF_MEMORY = /bad_alloc|allocate memory|allocation failed|out of memory|OOM|BFCArena|ENOMEM/i;

/** Whether an error tells that memory ran out. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && OUT_OF_MEMORY.test(error.message);
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
