/// <reference lib="dom" />
/**
 * Picture files that the page was given: what can be done with each.
 *
 * @module
 */

import { type Signal, signal } from "@preact/signals";
import { settingsInFile } from "./dropped.ts";
import type { Settings } from "./settings.ts";
import { beginFrom } from "./source.ts";
import { fault, notice, offered } from "./state.ts";

/** A picture file that waits for a decision. */
export interface Received {
  readonly file: File;
  /** The settings in it; absent where it carries none. */
  readonly settings?: Settings | undefined;
}

/** The file that waits. */
export const received: Signal<Received | undefined> = signal<Received>();

/** Takes a file: asks what to do with it, or starts from it where nothing else can be done. */
export async function receive(file: File): Promise<void> {
  fault.value = "";
  notice.value = "";
  let settings: Settings | undefined;
  let reason = "";
  try {
    settings = await settingsInFile(file);
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  if (settings || offered.value.controlnets.length > 0) {
    received.value = { file, settings };
    return;
  }
  if (!await beginFrom(file, file.name)) return;
  if (reason !== "") notice.value += ` No settings were found in it: ${reason}.`;
}
