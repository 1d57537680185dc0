import { userPath } from "./user_path.ts";

/** A path relative to the user's folder becomes absolute; a name stays as it is. */
export function pathOrName(reference: string): string {
  const path = userPath(reference);
  try {
    Deno.statSync(path);
    return path;
  } catch {
    return /^[./~]/.test(reference) ? path : reference;
  }
}
