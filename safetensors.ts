/**
 * Reads and writes safetensors files: only the header, some tensors, or all of them. Files are checked
 * completely before anything is allocated because of their header. Source:
 * https://huggingface.co/docs/safetensors.
 *
 * @module pixstage/safetensors
 */

export type { DType } from "./artifacts/dtype.ts";
export { readSafetensorsFile, readSafetensorsFileHeader } from "./artifacts/files_on_disk.ts";
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./artifacts/safetensors.ts";
export { SafetensorsError } from "./artifacts/safetensors_error.ts";
export { parseSafetensorsHeader, type SafetensorsHeader } from "./artifacts/safetensors_header.ts";
export { type Tensor, tensor } from "./artifacts/tensor.ts";
