/**
 * The model that the project carries, and its LoRAs.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** The model that the project carries: small, trained on emoji, available at once. */
export const DEFAULT_MODEL = "pixstage-emoji";

/** The LoRAs that the project carries for it, by name. */
export const EMBEDDED_LORAS: readonly string[] = [`${DEFAULT_MODEL}/chalk`];

/** The folder of the embedded model. */
export function embeddedModelFolder(): string {
  return fileURLToPath(new URL(`../models/${DEFAULT_MODEL}/`, import.meta.url));
}

/** The folder of one of its LoRAs. */
export function embeddedLoraFolder(name: string): string {
  return `${embeddedModelFolder()}loras/${name.slice(DEFAULT_MODEL.length + 1)}`;
}
