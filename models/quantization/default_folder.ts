/**
 * Where quantized weights lie unless the user says otherwise.
 *
 * @module
 */

import { dirname, join } from "node:path";
import process from "node:process";
import { defaultStoreFolder } from "../../artifacts/store/default_folder.ts";

/** `PIXSTAGE_QUANTIZED`, else the folder `quantized` beside the store. */
export function defaultQuantizedFolder(): string {
  return process.env["PIXSTAGE_QUANTIZED"] || join(dirname(defaultStoreFolder()), "quantized");
}
