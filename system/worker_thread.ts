// This module is browser compatible.

/** A thread that runs a module. */
export interface WorkerThread {
  /** Sends it a message. */
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void;
  /** Terminates it, whatever it does. */
  terminate(): void;
}

/** Handlers for what a thread sends to the one that started it. */
export interface WorkerListener {
  /** Called with each message. */
  readonly onMessage: (message: unknown) => void;
  /** Called with the error that its module did not catch. The thread has then ended. */
  readonly onError: (reason: string) => void;
}
