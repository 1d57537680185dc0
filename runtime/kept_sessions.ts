// This module is browser compatible.

import type { ModelGraph, Session } from "./runtime.ts";
import { sha256 } from "../artifacts/sha256.ts";
import type { Tensor } from "../artifacts/tensor.ts";

/** Sessions that outlive their release, for the next model that opens the same graph. */
export class KeptSessions {
  readonly #kept = new Map<string, Promise<Session>>();

  /**
   * Returns the session of a graph.
   *
   * @param graph The graph.
   * @param create Opens the graph if it is not open.
   * @returns The session. Its release does nothing.
   */
  async open(graph: ModelGraph, create: () => Promise<Session>): Promise<Session> {
    const key = await graphKey(graph);
    const kept = this.#kept.get(key) ?? create();
    this.#kept.set(key, kept);
    try {
      return new KeptSession(await kept);
    } catch (error) {
      this.#kept.delete(key);
      throw error;
    }
  }

  /** Releases all sessions. */
  async release(): Promise<void> {
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    for (const session of kept) await (await session).release();
  }
}

/** A session whose release leaves the memory to the runtime. */
class KeptSession implements Session {
  readonly #session: Session;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];

  constructor(session: Session) {
    this.#session = session;
    this.inputs = session.inputs;
    this.outputs = session.outputs;
  }

  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    return this.#session.run(feeds);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Returns a key that identifies a graph by its operators and the location of its weights. */
async function graphKey({ bytes, weightsFolder }: ModelGraph): Promise<string> {
  return `${weightsFolder} ${await sha256(bytes)}`;
}
