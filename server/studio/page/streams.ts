/// <reference lib="dom" />
/**
 * Follows streams of events, and reconnects when a connection breaks.
 *
 * @module
 */

import { ServerError, urlOf } from "./server.ts";

/** The callbacks of a follower. */
export interface Follower {
  /** The event types to listen to. */
  readonly types: readonly string[];
  /** Receives the data of an event. */
  readonly onEvent: (data: string) => void;
  /** Called when the connection opens, for the first time or again. */
  readonly onOpen?: (() => void) | undefined;
  /** Called when the connection broke and the server does not answer. The follower reconnects later. */
  readonly onLost: () => void;
  /** Called when the server refuses the stream. The follower does not reconnect. */
  readonly onRefused: (error: ServerError) => void;
  /** Checks on the subject of a broken stream. Returns whether more events will come. */
  readonly look: () => Promise<boolean>;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

/**
 * Follows a stream of events. Skips events that arrive again after a reconnection. A hidden page closes its
 * connection, because browsers allow few connections per server.
 *
 * @param path The path of the stream.
 * @param follower The callbacks.
 * @returns A function that closes the stream.
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
  // EventSource does not expose the reason for a refusal.
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
