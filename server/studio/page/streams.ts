/// <reference lib="dom" />
/**
 * Follows streams of events, and makes connections that break again.
 *
 * @module
 */

import { ServerError, urlOf } from "./server.ts";

/** What follows a stream. */
export interface Follower {
  /** The types of the events. */
  readonly types: readonly string[];
  /** Takes the data of an event. */
  readonly onEvent: (data: string) => void;
  /** The connection stands, for the first time or again. */
  readonly onOpen?: (() => void) | undefined;
  /** The connection broke, and the server does not answer; it is tried again. */
  readonly onLost: () => void;
  /** The server will not give the stream: it is not tried again. */
  readonly onRefused: (error: ServerError) => void;
  /** Asks after the subject of a stream that broke, and says whether there is more to come. */
  readonly look: () => Promise<boolean>;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

/**
 * Follows a stream of events. Events that come again after a break are left out. A hidden page lets go of the
 * connection, as browsers allow few to one server.
 *
 * @param path The path of the stream.
 * @param follower What follows it.
 * @returns Ends it.
 */
export function follow(path: string, follower: Follower): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = FIRST_WAIT_MS;
  let last = 0;
  let isOver = false;

  const disconnect = (): void => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  };
  const connect = (): void => {
    disconnect();
    if (isOver || document.hidden) return;
    const current = source = new EventSource(urlOf(path));
    source.onopen = () => {
      wait = FIRST_WAIT_MS;
      follower.onOpen?.();
    };
    source.onerror = () => {
      if (source !== current) return;
      disconnect();
      askWhy();
    };
    for (const type of follower.types) {
      source.addEventListener(type, ({ data, lastEventId }: MessageEvent<string>) => {
        const number = Number(lastEventId);
        if (number > 0 && number <= last) return;
        last = number;
        follower.onEvent(data);
      });
    }
  };
  // A stream does not say why it was refused.
  const askWhy = async (): Promise<void> => {
    try {
      if (!await follower.look()) return stop();
    } catch (error) {
      if (isOver) return;
      if (error instanceof ServerError && !error.isPassing) {
        stop();
        return follower.onRefused(error);
      }
      follower.onLost();
    }
    if (isOver) return;
    timer = setTimeout(connect, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  const stop = (): void => {
    isOver = true;
    disconnect();
    document.removeEventListener("visibilitychange", connect);
    removeEventListener("online", connect);
  };
  document.addEventListener("visibilitychange", connect);
  addEventListener("online", connect);
  connect();
  return stop;
}
