/**
 * Returns unused memory to the operating system.
 *
 * @module
 */

import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { findCFunction } from "./c_library.ts";

/** glibc's name for the size from which a memory block gets its own mapping (malloc.h). */
const M_MMAP_THRESHOLD = -3;
/** Size from which a memory block returns to the system when it is freed. */
export const LARGE_BYTES = {
  /**
   * For feature maps. By default, glibc keeps blocks of up to 32 MiB once one was freed, for the next one that
   * fits. Few of an autoencoder's blocks fit, and the peak of decoding at 1024 × 1024 grew by 0.1 to 0.5 GB, by
   * chance. With 4 MiB, that of decoding 256 × 256 with the embedded model was still 80 MB higher.
   */
  default: 1 << 20,
  /**
   * For large weights that stream. Each block of a transformer has matrices of the same sizes as the one
   * before, which fit. The system would otherwise fill fresh memory with zeros for each, a fifth of the time of
   * a step of PixArt-XL at 512 × 512 in float32. Blocks with quantized weights are smaller, and gain less time
   * than the memory is worth.
   */
  streaming: 32 << 20,
} as const;

let largeBytes: number | undefined;
let collect: (() => void) | undefined;

/**
 * Releases what a stage no longer uses: tensors that wait for a garbage collection, then freed memory that
 * the C library keeps. Takes about 20 ms.
 */
export async function giveBackUnused(): Promise<void> {
  collect ??= findCollector();
  collect();
  await trimFreed();
}

/**
 * Calls `malloc_trim(3)` in a separate thread, because it scans all allocations for some milliseconds. glibc
 * keeps freed memory separately for each thread that allocates. Other C libraries keep little, so nothing is
 * done there.
 */
export async function trimFreed(): Promise<void> {
  if (process.platform !== "linux") return;
  if (typeof Deno === "undefined") return await trimInNode();
  const library = openGlibc();
  if (!library) return;
  try {
    await library.symbols.malloc_trim(0n);
  } finally {
    library.close();
  }
}

/**
 * Makes memory blocks return to the system as soon as they are freed (`mallopt(3)`), if they are allocated
 * from now on.
 *
 * @param bytes Size from which blocks return; one of {@linkcode LARGE_BYTES}.
 */
export function returnBlocksFrom(bytes: number): void {
  if (process.platform !== "linux" || bytes === largeBytes) return;
  largeBytes = bytes;
  if (typeof Deno === "undefined") {
    findCFunction("int mallopt(int parameter, int value)")?.call(M_MMAP_THRESHOLD, bytes);
    return;
  }
  const library = openGlibc();
  library?.symbols.mallopt(M_MMAP_THRESHOLD, bytes);
  library?.close();
}

async function trimInNode(): Promise<void> {
  const trim = findCFunction("int malloc_trim(size_t pad)");
  if (!trim) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  trim.call.async(0, () => resolve());
  await promise;
}

/** Returns `undefined` with another C library, or without the permission to call it. */
function openGlibc() {
  try {
    return Deno.dlopen("libc.so.6", {
      malloc_trim: { parameters: ["usize"], result: "i32", nonblocking: true },
      mallopt: { parameters: ["i32", "i32"], result: "i32" },
    });
  } catch {
    return undefined;
  }
}

/**
 * V8 exposes its collector to contexts that are created after the flag is set. If it does not, garbage is
 * collected at its own pace.
 */
function findCollector(): () => void {
  try {
    setFlagsFromString("--expose-gc");
    const found: unknown = runInNewContext("gc");
    return typeof found === "function" ? () => found() : () => {};
  } catch {
    return () => {};
  }
}
