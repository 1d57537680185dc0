/// <reference lib="dom" />
/**
 * Tells people what went wrong.
 *
 * @module
 */

import { ServerError } from "./server.ts";
import { fault, isLost, needsKey, notice } from "./state.ts";

/** Does something, and shows why it failed. Gives whether it worked. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  fault.value = "";
  notice.value = "";
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof ServerError) tellOf(error);
    fault.value = error instanceof Error ? error.message : String(error);
    return false;
  }
}

/** Notes what a refusal says of the server: it asks for a key, or it is away. */
export function tellOf(error: ServerError): void {
  if (error.code === "invalid_api_key") needsKey.value = true;
  if (error.code === "unreachable") isLost.value = true;
}
