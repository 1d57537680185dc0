/**
 * Functions of the system's C library, for Node: by koffi, an optional dependency. Deno calls them by itself.
 *
 * @module
 */

import type { errno, KoffiFunc, load } from "koffi";
import { createRequire } from "node:module";

/** What is used of koffi. */
interface Koffi {
  readonly load: typeof load;
  readonly errno: typeof errno;
}

/** A function of numbers. */
export interface CFunction {
  /** The function. */
  readonly call: KoffiFunc<(...numbers: number[]) => number>;
  /** The system's number of the error of the last call: `errno`. */
  lastError(): number;
}

/**
 * Finds a function in this process.
 *
 * @param declaration Its declaration in C.
 * @returns Undefined where the C library has no such function, and where koffi is missing.
 */
export function findCFunction(declaration: string): CFunction | undefined {
  try {
    const koffi: Koffi = createRequire(import.meta.url)("koffi");
    return { call: koffi.load(null).func(declaration), lastError: () => koffi.errno() };
  } catch {
    return undefined;
  }
}
