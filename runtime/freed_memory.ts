/**
 * Memory that nobody uses any more, given back to the system.
 *
 * @module
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/**
 * Gives back what a stage no longer uses: tensors that wait for a garbage collection, then what the C library keeps of freed
 * memory. Some 20 ms.
 */
export async function giveBackUnused(): Promise<void> {
  collect ??= findCollector();
  collect();
  await trimFreed();
}

/**
 * `malloc_trim(3)`, in a thread of its own: it looks through all that is allocated, some milliseconds long. glibc keeps
 * freed memory apart for each thread that allocates; other C libraries keep little, and there nothing is done.
 */
export async function trimFreed(): Promise<void> {
  if (typeof Deno === "undefined" || Deno.build.os !== "linux") return;
  let library;
  try {
    library = Deno.dlopen("libc.so.6", {
      malloc_trim: { parameters: ["usize"], result: "i32", nonblocking: true },
    });
  } catch {
    // Another C library, or no right to call it.
    return;
  }
  try {
    await library.symbols.malloc_trim(0n);
  } finally {
    library.close();
  }
}

/** V8 hands out its collector to contexts that are made after the flag is set; where it does not, it collects when it likes. */
function findCollector(): () => void {
  try {
    setFlagsFromString("--expose-gc");
    const found: unknown = runInNewContext("gc");
    return typeof found === "function" ? () => found() : () => {};
  } catch {
    return () => {};
  }
}
