// This module is browser compatible.

/** A thread that runs a module. */
export interface WorkerThread {
  /** Sends a message to the thread. */
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Terminates the thread, even in the middle of its work. */
  terminate(): void;
}

/** Handlers for what a thread sends to the one that started it. */
export interface WorkerListener {
  /** Called with each message. */
  readonly onMessage: (message: unknown) => void;
  /** Called with an error that the module did not catch, after the thread has ended. */
  readonly onError: (reason: string) => void;
}
