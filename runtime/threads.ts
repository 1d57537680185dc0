// This module is browser compatible.

import { z } from "zod";

/** Threads that a machine of few processors may still be asked for: results depend on their number. */
const FEW = 16;

/**
 * The most threads of one operation: as many as there are processors, but 16 at least, so that what a larger
 * machine made can be made again. With thousands of them an operation takes minutes and gigabytes, and
 * nothing stops it meanwhile.
 */
export const MOST_THREADS: number = Math.max(FEW, navigator.hardwareConcurrency);

/** A number of threads. */
export const threadsSchema: z.ZodInt = z.int().min(1).max(MOST_THREADS);
