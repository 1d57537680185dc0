/**
 * The default folder of quantized weights.
 *
 * @module
 */

import process from "node:process";
import { defaultStoreFolder } from "../../artifacts/store/default_folder.ts";

/** Returns `PIXSTAGE_QUANTIZED` if set, otherwise the path of the store with the suffix `-quantized`. */
export function defaultQuantizedFolder(): string {
  return process.env["PIXSTAGE_QUANTIZED"] || `${defaultStoreFolder()}-quantized`;
}
