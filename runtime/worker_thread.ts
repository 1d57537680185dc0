// This module is browser compatible.

/** A thread that runs a module. */
export interface WorkerThread {
  /** Sends it a message. */
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Ends it, whatever it does. */
  terminate(): void;
}

/** What a thread tells the one that started it. */
export interface WorkerListener {
  /** Takes its messages. */
  readonly onMessage: (message: unknown) => void;
  /** Takes what its module did not catch, after which the thread is gone. */
  readonly onError: (reason: string) => void;
}
