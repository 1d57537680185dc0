import { existsSync } from "node:fs";
import { userPath } from "./user_path.ts";

/** Makes a path relative to the user's folder absolute. Returns a name unchanged. */
export function pathOrName(reference: string): string {
  const path = userPath(reference);
  return existsSync(path) || /^[./~]/.test(reference) ? path : reference;
}
