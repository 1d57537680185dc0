// This module is browser compatible.

import { z } from "zod";

/**
 * Number of threads that can be requested even on a machine with fewer processors, because results depend on
 * it.
 */
const FEW = 16;

/**
 * Maximum number of threads per operation: the number of processors, but at least 16, so that results from a
 * larger machine can be reproduced. With thousands of threads, an operation takes minutes and gigabytes and
 * cannot be stopped.
 */
export const MOST_THREADS: number = Math.max(FEW, navigator.hardwareConcurrency);

/** A number of threads. */
export const threadsSchema: z.ZodInt = z.int().min(1).max(MOST_THREADS);
