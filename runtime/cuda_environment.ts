/**
 * What CUDA needs of the process before ONNX Runtime's CUDA libraries are loaded.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { loadsLibrary } from "../artifacts/c_library.ts";

/** The file, beside ONNX Runtime's libraries, that says what was installed. */
export const CUDA_RECORD = "pixstage-cuda.json";

/** The schema of that file. */
export const cudaRecordSchema = z.object({
  /** The version of CUDA that the libraries are for. */
  cuda: z.union([z.literal(12), z.literal(13)]),
  /** SHA-256 of the provider. */
  sha256: z.string(),
  /** Paths of NVIDIA's libraries, each before those that need it. */
  libraries: z.array(z.string()),
});

/** Where ONNX Runtime's own libraries lie, in which it looks for those of CUDA. */
export function onnxRuntimeFolder(): string {
  const entry = fileURLToPath(import.meta.resolve("onnxruntime-node"));
  return join(dirname(entry), "..", "bin", "napi-v6", process.platform, process.arch);
}

/** What was installed; undefined if nothing was. */
export function readCudaRecord(folder: string): z.infer<typeof cudaRecordSchema> | undefined {
  const path = join(folder, CUDA_RECORD);
  return existsSync(path) ? cudaRecordSchema.parse(JSON.parse(readFileSync(path, "utf8"))) : undefined;
}

/** Whether the system's loader finds a library, which is loaded by that. Always true where that cannot be tried. */
export function loads(library: string): boolean {
  if (typeof Deno === "undefined") return loadsLibrary(library) ?? true;
  try {
    Deno.dlopen(library, {});
    return true;
  } catch {
    return false;
  }
}

/**
 * Prepares the process, once, before it opens a graph on CUDA.
 *
 * - Products in float32 are computed in float32. By default ONNX Runtime computes them in TF32, which is off by 3e-4;
 *   cuBLAS reads the variable when it starts.
 * - GPUs are numbered as the driver's own tool numbers them; CUDA would begin with the fastest.
 * - NVIDIA's libraries are loaded from where they were found: the loader takes what is loaded already under the same name.
 *   So neither `LD_LIBRARY_PATH` nor a system-wide installation is needed.
 */
export function prepareCuda(): void {
  process.env["NVIDIA_TF32_OVERRIDE"] ??= "0";
  process.env["CUDA_DEVICE_ORDER"] ??= "PCI_BUS_ID";
  const { libraries = [] } = readCudaRecord(onnxRuntimeFolder()) ?? {};
  for (const library of libraries) loads(library);
}
