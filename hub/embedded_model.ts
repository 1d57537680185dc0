/**
 * The model that the project carries, and its LoRAs.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The model that the project carries: small, trained on emoji, available at once. */
export const DEFAULT_MODEL = "pixstage-emoji";

/** The npm package that holds it. */
const MODEL_PACKAGE = "@pixstage/emoji";

/** The LoRAs that the project carries for it, by name. */
export const EMBEDDED_LORAS: readonly string[] = [`${DEFAULT_MODEL}/chalk`];

/** The folder of the embedded model. */
export function embeddedModelFolder(): string {
  const carried = fileURLToPath(new URL(`../models/${DEFAULT_MODEL}/`, import.meta.url));
  return existsSync(carried) ? carried : packagedModelFolder();
}

/** In npm the model has a package of its own, so that it is not fetched again with every version of the code. */
function packagedModelFolder(): string {
  const { resolve } = createRequire(import.meta.url);
  return `${dirname(resolve(`${MODEL_PACKAGE}/${DEFAULT_MODEL}/model_index.json`))}${sep}`;
}

/** The folder of one of its LoRAs. */
export function embeddedLoraFolder(name: string): string {
  return `${embeddedModelFolder()}loras/${name.slice(DEFAULT_MODEL.length + 1)}`;
}
