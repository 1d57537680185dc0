/**
 * The model that comes with the project, and its LoRAs.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The model that comes with the project: small, trained on emoji, available without a download. */
export const DEFAULT_MODEL = "pixstage-emoji";

/** The npm package with the model. */
const MODEL_PACKAGE = "@pixstage/emoji";

/** The model's LoRAs that come with the project, by name. */
export const EMBEDDED_LORAS: readonly string[] = [`${DEFAULT_MODEL}/chalk`];

/** Returns the folder of the embedded model. */
export function embeddedModelFolder(): string {
  const carried = fileURLToPath(new URL(`../models/${DEFAULT_MODEL}/`, import.meta.url));
  return existsSync(carried) ? carried : packagedModelFolder();
}

/**
 * Returns the folder in npm, where the model has its own package, so that a new version of the code does not
 * download it again.
 */
function packagedModelFolder(): string {
  const { resolve } = createRequire(import.meta.url);
  return `${dirname(resolve(`${MODEL_PACKAGE}/${DEFAULT_MODEL}/model_index.json`))}${sep}`;
}

/** Returns the folder of one of the embedded model's LoRAs. */
export function embeddedLoraFolder(name: string): string {
  return `${embeddedModelFolder()}loras/${name.slice(DEFAULT_MODEL.length + 1)}`;
}
