/**
 * Functions of the C library for Node, through koffi, an optional dependency of the npm package. Deno can
 * call them itself, and does not download koffi.
 *
 * @module
 */

import { createRequire } from "node:module";

/** The part of koffi's API in use. Source: https://koffi.dev/functions */
interface Koffi {
  /** Opens a library, or without a path, this process and everything that it has loaded. */
  load(path: string | null): { func(declaration: string): NumberFunction };
  /** Error number of the last call. */
  errno(): number;
}

/** A function of numbers. It can also run in a separate thread. */
interface NumberFunction {
  (...numbers: number[]): number;
  async(number: number, onEnd: (error: unknown, result: number) => void): void;
}

/** A function of the C library. */
export interface CFunction {
  /** Calls the function. */
  readonly call: NumberFunction;
  /** Returns `errno`, the error number of the last call. */
  lastError(): number;
}

/**
 * Finds a function in this process.
 *
 * @param declaration Its declaration in C.
 * @returns The function, or `undefined` if the C library does not have it or koffi is missing.
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
 * @returns Whether the system's loader found it, or `undefined` if koffi is missing.
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
