import { InvalidArgumentError } from "commander";
import type { ModelEntry } from "../hub/listed_models.ts";
import { userPath } from "./user_path.ts";

/**
 * Parses `NAME=DIR`, where requests use NAME for the model in DIR, or a single folder or name that is also
 * the name in requests. Appends the model to those of earlier options.
 */
export function modelEntry(value: string, before: readonly ModelEntry[] = []): ModelEntry[] {
  const at = value.indexOf("=");
  const [name, reference] = at < 0 ? [value, value] : [value.slice(0, at), value.slice(at + 1)];
  if (name === "" || reference === "") {
    throw new InvalidArgumentError("It must be NAME=DIR, a folder, or a name.");
  }
  return [...before, { name, reference: /^[./~]/.test(reference) ? userPath(reference) : reference }];
}
