import { ApiError } from "./api_error.ts";
import type { Limits } from "./limits.ts";

/**
 * Checks an order within the limit of time. A busy machine, or a stage that waits for another server, can
 * exceed it.
 *
 * @param limits The limits.
 * @param check Checks the order until the signal aborts.
 * @param signal The client's own signal.
 * @returns What `check` returns.
 * @throws {ApiError} `overloaded` if the time is over.
 */
export async function checkInTime<Found>(
  { maxCheckSeconds }: Pick<Limits, "maxCheckSeconds">,
  check: (signal: AbortSignal) => Promise<Found>,
  signal?: AbortSignal,
): Promise<Found> {
  const timeout = AbortSignal.timeout(1000 * maxCheckSeconds);
  try {
    return await check(signal ? AbortSignal.any([signal, timeout]) : timeout);
  } catch (error) {
    if (!timeout.aborted || error !== timeout.reason) throw error;
    throw new ApiError(
      "overloaded",
      `The server could not check the order within ${maxCheckSeconds} seconds: try again later`,
      { headers: { "retry-after": "10" }, cause: error },
    );
  }
}
