/**
 * Functions of the system's C library, for Node: by koffi, an optional dependency of the npm package. Deno calls them by
 * itself, and does not fetch koffi.
 *
 * @module
 */

import { createRequire } from "node:module";

/** What is used of koffi. Source: https://koffi.dev/functions */
interface Koffi {
  /** Opens a library; without a path, this process with all that it has loaded. */
  load(path: string | null): { func(declaration: string): NumberFunction };
  /** The system's number of the error of the last call. */
  errno(): number;
}

/** A function of numbers, which can also run in a thread of its own. */
interface NumberFunction {
  (...numbers: number[]): number;
  async(number: number, onEnd: (error: unknown, result: number) => void): void;
}

/** A function of the C library. */
export interface CFunction {
  /** The function. */
  readonly call: NumberFunction;
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
    const koffi = requireKoffi();
    return { call: koffi.load(null).func(declaration), lastError: () => koffi.errno() };
  } catch {
    return undefined;
  }
}

/**
 * Loads a library.
 *
 * @param library Its name, or its path.
 * @returns Whether the system's loader found it; undefined where koffi is missing.
 */
export function loadsLibrary(library: string): boolean | undefined {
  let koffi: Koffi;
  try {
    koffi = requireKoffi();
  } catch {
    return undefined;
  }
  try {
    koffi.load(library);
    return true;
  } catch {
    return false;
  }
}

function requireKoffi(): Koffi {
  return createRequire(import.meta.url)("koffi");
}
