/**
 * The option of LoRA adapters.
 *
 * @module
 */

import { InvalidArgumentError } from "commander";
import { existsSync } from "node:fs";
import type { GenOptions } from "./gen_options.ts";
import { pathOrName } from "./path_or_name.ts";
import { userPath } from "./user_path.ts";

/** An adapter that was asked for. */
export interface LoraOption {
  /** The file, the folder or the name, as the user gave it. */
  readonly name: string;
  /** What its scale is multiplied by. */
  readonly weight: number;
}

/** `FILE|DIR|ORG/NAME[:WEIGHT]`, gathered over several options. A file whose name ends so is that file. */
export function lora(text: string, gathered: readonly LoraOption[] = []): LoraOption[] {
  const colon = text.lastIndexOf(":");
  const end = text.slice(colon + 1);
  // A drive's letter has a colon too, and a path behind it.
  const isWhole = colon < 1 || /[/\\]/.test(end) || existsSync(userPath(text));
  const name = isWhole ? text : text.slice(0, colon);
  if (name === "") throw new InvalidArgumentError("It must name a file, a folder or org/name.");
  if (isWhole) return [...gathered, { name, weight: 1 }];
  const weight = Number(end);
  if (end.trim() === "" || !Number.isFinite(weight)) {
    throw new InvalidArgumentError(
      `What stands behind the colon must be a number, the weight: it is "${end}".`,
    );
  }
  return [...gathered, { name, weight }];
}

/** The adapters as a request names them: a path relative to the user's folder becomes absolute. */
export function loraRequest({ lora }: Pick<GenOptions, "lora">): LoraOption[] | undefined {
  return lora?.map(({ name, weight }) => ({ name: pathOrName(name), weight }));
}
