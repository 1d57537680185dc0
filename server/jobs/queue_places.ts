import { ApiError } from "../api_error.ts";
import type { Limits } from "../limits.ts";

/** Who asks for a place in the queue. */
export interface QueueClient {
  /** The name that clients take turns by. A client may choose it. */
  readonly client: string;
  /** The address that the request comes from; unknown for jobs of an older program. */
  readonly address?: string | undefined;
}

/** A place in the queue, held while an order is checked. */
export interface QueuePlace extends Disposable {
  /** Who holds it. */
  readonly holder: QueueClient;
}

/**
 * The places of the queue: those of waiting jobs, and those of orders that are being checked. A refused order
 * costs no more than this look, as graphs are checked afterwards.
 */
export class QueuePlaces {
  #limits: Pick<Limits, "maxQueue" | "maxQueuePerAddress" | "maxQueuePerClient">;
  #held = new Set<QueuePlace>();

  /** @param limits How many places there are, for all and for each. */
  constructor(limits: Pick<Limits, "maxQueue" | "maxQueuePerAddress" | "maxQueuePerClient">) {
    this.#limits = limits;
  }

  /**
   * Takes a place.
   *
   * @param holder Who asks.
   * @param waiting Who the waiting jobs are of.
   * @param retryAfter Seconds after which to try again.
   * @returns The place, to be disposed of once the job waits or the order was refused.
   * @throws {ApiError} 429 if the queue is full, for all or for this client.
   */
  take(holder: QueueClient, waiting: readonly QueueClient[], retryAfter: number): QueuePlace {
    const { maxQueue, maxQueuePerAddress, maxQueuePerClient } = this.#limits;
    const taken = [...waiting, ...[...this.#held].map((place) => place.holder)];
    const refuse = (count: number, whose: string): never => {
      throw new ApiError(
        "queue_full",
        `Cannot take the job as ${count} ${whose} wait already: try again later`,
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
