/**
 * Threads that run a module: Web Workers if available, or else `node:worker_threads` in Node. Deno has both,
 * and its Web Workers start in a fifth of the time.
 *
 * @module
 */

import { parentPort, Worker as NodeWorker } from "node:worker_threads";
import type { WorkerListener, WorkerThread } from "./worker_thread.ts";

/**
 * Starts a thread.
 *
 * @param module The URL of its module, which calls {@linkcode listenInWorker}.
 * @param listener Receives its messages and errors.
 */
export function startWorker(module: URL, { onMessage, onError }: WorkerListener): WorkerThread {
  if (typeof Worker === "undefined") {
    const worker = new NodeWorker(module);
    worker.on("message", onMessage);
    worker.on("error", (error) => onError(error instanceof Error ? error.message : String(error)));
    return worker;
  }
  const worker = new Worker(module, { type: "module" });
  worker.onmessage = ({ data }) => onMessage(data);
  worker.onerror = (event) => {
    // Without this, an error in one thread would end the whole process.
    event.preventDefault();
    onError(event.message);
  };
  return {
    postMessage: (message, transfer = []) => worker.postMessage(message, transfer),
    terminate: () => worker.terminate(),
  };
}

/** The part of a Web Worker's global object in use. */
const scope = globalThis as unknown as {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  onmessage: (event: { readonly data: unknown }) => void;
};

/**
 * Listens, in the module of a thread, to the thread that started it.
 *
 * @param onMessage Called with each message.
 * @returns A function that sends a message back.
 */
export function listenInWorker(
  onMessage: (message: unknown) => void,
): (message: unknown, transfer?: ArrayBuffer[]) => void {
  if (parentPort) {
    const port = parentPort;
    port.on("message", onMessage);
    return (message, transfer = []) => port.postMessage(message, transfer);
  }
  scope.onmessage = ({ data }) => onMessage(data);
  return (message, transfer = []) => scope.postMessage(message, transfer);
}
