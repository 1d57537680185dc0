import { InvalidArgumentError } from "commander";
import type { ModelEntry } from "../hub/listed_models.ts";
import { userPath } from "./user_path.ts";

/**
 * Reads a model and the name that requests call it by: `NAME=DIR`, or a folder or name that stands for itself. Gathered
 * over several options.
 */
export function modelEntry(value: string, before: readonly ModelEntry[] = []): ModelEntry[] {
  const at = value.indexOf("=");
  const [name, reference] = at < 0 ? [value, value] : [value.slice(0, at), value.slice(at + 1)];
  if (name === "" || reference === "") {
    throw new InvalidArgumentError("It must be NAME=DIR, or a folder or name alone.");
  }
  return [...before, { name, reference: /^[./~]/.test(reference) ? userPath(reference) : reference }];
}
