import { existsSync } from "node:fs";
import { userPath } from "./user_path.ts";

/** A path relative to the user's folder becomes absolute; a name stays as it is. */
export function pathOrName(reference: string): string {
  const path = userPath(reference);
  return existsSync(path) || /^[./~]/.test(reference) ? path : reference;
}
