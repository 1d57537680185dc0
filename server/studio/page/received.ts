/// <reference lib="dom" />
/**
 * Picture files that the user has dropped, pasted or chosen, and what to do with them.
 *
 * @module
 */

import { type Signal, signal } from "@preact/signals";
import { settingsInFile } from "./dropped.ts";
import type { Settings } from "./settings.ts";
import { beginFrom } from "./source.ts";
import { fault, notice, offered } from "./state.ts";

/** A picture file that awaits the user's decision. */
export interface Received {
  readonly file: File;
  /** The settings in it; absent if it has none. */
  readonly settings?: Settings | undefined;
}

/** The file that awaits a decision. */
export const received: Signal<Received | undefined> = signal<Received>();

/** Receives a file. Asks what to do with it, or starts from it if that is the only option. */
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
  if (reason !== "") notice.value += ` Its settings cannot be restored: ${reason}.`;
}
