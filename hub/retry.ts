/**
 * Tries again after failures of the network.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { HubError } from "./hub_error.ts";

/** How often and how soon to try again. */
export interface RetryOptions {
  /**
   * Tries in a row without progress before giving up. Questions to the hub, which come before any download, are tried three
   * times at most.
   *
   * @default {5}
   */
  readonly tries?: number | undefined;
  /**
   * Milliseconds before the second try; doubled before each further one.
   *
   * @default {500}
   */
  readonly retryDelay?: number | undefined;
  /** Stops the trying. */
  readonly signal?: AbortSignal | undefined;
  /** Is given a sentence about each failure that another try follows. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/**
 * Does something, again if the network or the server failed.
 *
 * @param work What to do. It calls its argument whenever it got further, which starts the counting of tries anew.
 * @param options How often and how soon to try again.
 * @returns What `work` gives.
 * @throws {HubError} of the last try, or the first that trying again cannot mend.
 */
export async function withRetries<T>(
  work: (progress: () => void) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { tries = 5, retryDelay = 500, signal, onWarning } = options;
  for (let tried = 0;;) {
    signal?.throwIfAborted();
    try {
      return await work(() => tried = 0);
    } catch (error) {
      tried += 1;
      signal?.throwIfAborted();
      if (!(error instanceof HubError) || error.code !== "unreachable" || tried >= tries) throw error;
      onWarning?.(`${error.problem}. Trying again (${tried + 1} of ${tries})`);
      // A random part keeps parallel downloads from coming back all at once.
      const wait = retryDelay * 2 ** (tried - 1) * (0.75 + Math.random() / 2);
      await delay(wait, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}
