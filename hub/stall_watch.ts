/**
 * Notices connections that are open but silent.
 *
 * @module
 */

import { clearTimeout, setTimeout } from "node:timers";

/** Aborts a connection on which nothing comes for a while. */
export class StallWatch {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;

  /** @param milliseconds The longest silence. */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Aborted with an `Error` that says for how long nothing came. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waits for the next thing to come: an answer, or a piece of it. */
  async wait<T>(next: Promise<T>): Promise<T> {
    const reason = new Error(`nothing came for ${this.#milliseconds / 1000} s`);
    const timer = setTimeout(() => this.#controller.abort(reason), this.#milliseconds);
    try {
      return await next;
    } finally {
      clearTimeout(timer);
    }
  }
}
