/// <reference lib="dom" />
/**
 * Runs actions and reports their failures.
 *
 * @module
 */

import { ServerError } from "./server.ts";
import { fault, isLost, needsKey, notice } from "./state.ts";

/** Runs an action and reports a failure. Returns whether it succeeded. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  fault.value = "";
  notice.value = "";
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof ServerError) noteRefusal(error);
    fault.value = error instanceof Error ? error.message : String(error);
    return false;
  }
}

/** Notes that the server requires a key, or cannot be reached. */
export function noteRefusal(error: ServerError): void {
  if (error.code === "invalid_api_key") needsKey.value = true;
  if (error.code === "unreachable") isLost.value = true;
}
