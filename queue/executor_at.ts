/**
 * Executors elsewhere, by their addresses.
 *
 * @module
 */

import { fetchNamingProxy } from "../artifacts/proxy.ts";
import type { Executor } from "../graph/executors/executor.ts";
import { HttpExecutor } from "../graph/executors/http.ts";
import { isQueueAddress } from "./address.ts";

/** How an executor elsewhere is reached. */
export interface ExecutorAtOptions {
  /** The API key of a server. */
  readonly token?: string | undefined;
  /** Takes a sentence about each failure that another try follows. */
  readonly onRetry?: ((message: string) => void) | undefined;
}

/** Whether an executor's name is the address of a server or a queue. */
export function isExecutorAddress(name: string): boolean {
  return /^https?:\/\//.test(name) || isQueueAddress(name);
}

/**
 * Makes the executor of an address.
 *
 * @param address `https://HOST`, or the address of a queue.
 * @param options How it is reached.
 * @throws {InputError} if that is no such address.
 */
export async function executorAt(
  address: string,
  { token, onRetry }: ExecutorAtOptions = {},
): Promise<Executor> {
  if (!isQueueAddress(address)) return new HttpExecutor(address, { token, fetch: fetchNamingProxy, onRetry });
  // Loaded where it is used: the queue's library takes as long to load as all the rest.
  const { QueueExecutor } = await import("./queue_executor.ts");
  return new QueueExecutor(address, { onWarning: onRetry });
}
