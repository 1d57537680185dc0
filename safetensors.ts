/**
 * Reading and writing safetensors files: the header alone, some tensors, or all of them. Files that come in are checked
 * in full before anything is allocated on the word of a header.
 *
 * Source: https://huggingface.co/docs/safetensors.
 *
 * @module
 */

export type { DType } from "./artifacts/dtype.ts";
export { readSafetensorsFile, readSafetensorsFileHeader } from "./artifacts/disk.ts";
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./artifacts/safetensors.ts";
export { SafetensorsError } from "./artifacts/safetensors_error.ts";
export { parseSafetensorsHeader, type SafetensorsHeader } from "./artifacts/safetensors_header.ts";
export { type Tensor, tensor } from "./artifacts/tensor.ts";
