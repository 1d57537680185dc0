/**
 * The `--lora` option.
 *
 * @module
 */

import { InvalidArgumentError } from "commander";
import { existsSync } from "node:fs";
import type { GenOptions } from "./gen_options.ts";
import { pathOrName } from "./path_or_name.ts";
import { userPath } from "./user_path.ts";

/** An adapter that the user named. */
export interface LoraOption {
  /** The file, folder or name, as the user gave it. */
  readonly name: string;
  /** Factor for the scale of the adapter. */
  readonly weight: number;
}

/**
 * Parses `FILE|DIR|ORG/NAME[:WEIGHT]` and appends it to the values of earlier options. If the whole text is
 * the name of an existing file, the text is that file.
 */
export function lora(text: string, gathered: readonly LoraOption[] = []): LoraOption[] {
  const colon = text.lastIndexOf(":");
  const end = text.slice(colon + 1);
  // A colon also follows a drive letter, and then a path follows the colon.
  const isWhole = colon < 1 || /[/\\]/.test(end) || existsSync(userPath(text));
  const name = isWhole ? text : text.slice(0, colon);
  if (name === "") throw new InvalidArgumentError("It must name a file, a folder or org/name.");
  if (isWhole) return [...gathered, { name, weight: 1 }];
  const weight = Number(end);
  if (end.trim() === "" || !Number.isFinite(weight)) {
    throw new InvalidArgumentError(
      `The weight after the colon must be a number, but is "${end}".`,
    );
  }
  return [...gathered, { name, weight }];
}

/** Returns the adapters for a request. Paths relative to the user's folder become absolute. */
export function loraRequest({ lora }: Pick<GenOptions, "lora">): LoraOption[] | undefined {
  return lora?.map(({ name, weight }) => ({ name: pathOrName(name), weight }));
}
