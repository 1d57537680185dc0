/**
 * Where quantized weights lie unless the user says otherwise.
 *
 * @module
 */

import process from "node:process";
import { defaultStoreFolder } from "../../artifacts/store/default_folder.ts";

/** `PIXSTAGE_QUANTIZED`, else beside the store, under its name and `-quantized`. */
export function defaultQuantizedFolder(): string {
  return process.env["PIXSTAGE_QUANTIZED"] || `${defaultStoreFolder()}-quantized`;
}
