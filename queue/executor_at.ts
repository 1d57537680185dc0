/**
 * Creates remote executors from their addresses.
 *
 * @module
 */

import { fetchNamingProxy } from "../network/proxy.ts";
import type { Executor } from "../graph/executors/executor.ts";
import { HttpExecutor } from "../graph/executors/http.ts";
import { isQueueAddress } from "./address.ts";

/** Options for the connection to a remote executor. */
export interface ExecutorAtOptions {
  /** API key of the server. */
  readonly token?: string | undefined;
  /** Called with a sentence about each failure that is retried. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** Returns whether the name of an executor is the address of a server or a queue. */
export function isExecutorAddress(name: string): boolean {
  return /^https?:\/\//.test(name) || isQueueAddress(name);
}

/**
 * Creates the executor for an address.
 *
 * @param address `https://HOST`, or the address of a queue.
 * @param options The API key and a callback for retries.
 * @throws {InputError} if the address is neither.
 */
export async function executorAt(
  address: string,
  { token, onRetry }: ExecutorAtOptions = {},
): Promise<Executor> {
  if (!isQueueAddress(address)) return new HttpExecutor(address, { token, fetch: fetchNamingProxy, onRetry });
  // Imported on demand: the library of the queue takes as long to load as everything else together.
  const { QueueExecutor } = await import("./queue_executor.ts");
  return new QueueExecutor(address, { onWarning: onRetry });
}
