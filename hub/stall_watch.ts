/**
 * Notices connections that are open but silent.
 *
 * @module
 */

import { clearTimeout, setTimeout } from "node:timers";

const STALL_TIMEOUT = 60_000;

/** Aborts when nothing has happened for a while. */
export class StallWatch implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /** @param milliseconds How long. Default is a minute. */
  constructor(milliseconds: number = STALL_TIMEOUT) {
    const reason = new Error(`nothing came for ${milliseconds / 1000} s`);
    this.#timer = setTimeout(() => this.#controller.abort(reason), milliseconds);
  }

  /** Aborted with an `Error` that says for how long nothing came. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something has happened: the time starts anew. */
  refresh(): void {
    this.#timer.refresh();
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
