import { ApiError } from "../api_error.ts";
import type { Limits } from "../limits.ts";

/** A client that asks for a place in the queue. */
export interface QueueClient {
  /** The name that the queue takes turns by. A client can choose it. */
  readonly client: string;
  /** The address of the request; undefined for jobs of an older program. */
  readonly address?: string | undefined;
}

/** A place in the queue, reserved while an order is checked. */
export interface QueuePlace extends Disposable {
  /** The client that has the place. */
  readonly holder: QueueClient;
}

/**
 * The places in the queue: those of waiting jobs, and those of orders being checked. Refusing an order costs
 * only this check, because its graph is checked later.
 */
export class QueuePlaces {
  #limits: Pick<Limits, "maxQueue" | "maxQueuePerAddress" | "maxQueuePerClient">;
  #held = new Set<QueuePlace>();

  /** @param limits Number of places in total, per address and per client. */
  constructor(limits: Pick<Limits, "maxQueue" | "maxQueuePerAddress" | "maxQueuePerClient">) {
    this.#limits = limits;
  }

  /**
   * Takes a place.
   *
   * @param holder The client that asks.
   * @param waiting The clients of the waiting jobs.
   * @param retryAfter Seconds after which to try again.
   * @returns The place. The caller disposes of it once the job is queued or the order is refused.
   * @throws {ApiError} 429 if the queue is full, in total, for this client or for its address.
   */
  take(holder: QueueClient, waiting: readonly QueueClient[], retryAfter: number): QueuePlace {
    const { maxQueue, maxQueuePerAddress, maxQueuePerClient } = this.#limits;
    const taken = [...waiting, ...[...this.#held].map((place) => place.holder)];
    const refuse = (count: number, whose: string): never => {
      throw new ApiError(
        "queue_full",
        `Cannot queue the job because ${count} ${whose} are already waiting: try again later`,
        {
          headers: { "retry-after": String(retryAfter) },
        },
      );
    };
    const { client, address } = holder;
    const ofClient = taken.filter((other) => other.client === client).length;
    const ofAddress = address === undefined ? 0 : taken.filter((other) => other.address === address).length;
    if (taken.length >= maxQueue) refuse(taken.length, "jobs");
    if (ofClient >= maxQueuePerClient) refuse(ofClient, "jobs of this client");
    if (ofAddress >= maxQueuePerAddress) refuse(ofAddress, "jobs of this address");
    const place: QueuePlace = { holder, [Symbol.dispose]: () => this.#held.delete(place) };
    this.#held.add(place);
    return place;
  }
}
