/**
 * The environment that CUDA requires before ONNX Runtime's CUDA libraries are loaded.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { DeviceError } from "./device.ts";
import { loadsLibrary } from "../system/c_library.ts";

/** The file next to ONNX Runtime's libraries that records what was installed. */
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

/** Returns the folder of ONNX Runtime's own libraries, in which it looks for those for CUDA. */
export function onnxRuntimeFolder(): string {
  const entry = fileURLToPath(import.meta.resolve("onnxruntime-node"));
  return join(dirname(entry), "..", "bin", "napi-v6", process.platform, process.arch);
}

/** Reads the record of what was installed, or returns `undefined` if nothing was. */
export function readCudaRecord(folder: string): z.infer<typeof cudaRecordSchema> | undefined {
  const path = join(folder, CUDA_RECORD);
  return existsSync(path) ? cudaRecordSchema.parse(JSON.parse(readFileSync(path, "utf8"))) : undefined;
}

/**
 * Returns whether the system's loader finds a library, and thereby loads it. Always true if that cannot be
 * tried.
 */
export function loads(library: string): boolean {
  if (typeof Deno === "undefined") return loadsLibrary(library) ?? true;
  try {
    Deno.dlopen(library, {});
    return true;
  } catch {
    return false;
  }
}

/** Names the process that CUDA was prepared for, and the kind of its products. Children inherit the variable. */
const PREPARED = "PIXSTAGE_CUDA_PREPARED";

/** The GPUs that CUDA may use, and their order. */
const VISIBLE = "CUDA_VISIBLE_DEVICES";
/** The value of that variable before a process changed the order, or {@linkcode ALL}. Children inherit both. */
const VISIBLE_BEFORE = "PIXSTAGE_CUDA_VISIBLE_DEVICES";
/** Stands for a variable that was not set. */
const ALL = "all";
/** More GPUs than a machine has. CUDA ignores everything after the first number without a GPU. */
const MOST_GPUS = 64;

/** The GPUs in the order in which this process sees them, by number; `undefined` if it has not changed that. */
let order: readonly number[] | undefined;

/** Returns how the driver's own tool calls a GPU. CUDA counts the visible GPUs, the tool counts all. */
export function gpuName(index: number): string {
  return visibleGpus()?.[index] ?? String(index);
}

/** Returns the number by which CUDA knows a GPU in this process. */
export function cudaNumber(index: number): number {
  const position = order?.indexOf(index) ?? -1;
  return position < 0 ? index : position;
}

/** Returns the names of the GPUs that the user makes visible, or `undefined` if that is all of them. */
function visibleGpus(): readonly string[] | undefined {
  const listed = process.env[VISIBLE_BEFORE] ?? process.env[VISIBLE] ?? ALL;
  if (listed === ALL) return undefined;
  return listed === "" ? [] : listed.split(",").map((name) => name.trim());
}

/**
 * Makes a GPU the first one for CUDA in this process. ONNX Runtime and CUDA's own threads open the first one
 * even if a graph runs on another, which takes 0.5 GB of its memory. Only possible before CUDA starts.
 */
function startWith(index: number): void {
  const visible = visibleGpus();
  const count = visible?.length ?? MOST_GPUS;
  if (index >= count) return;
  process.env[VISIBLE_BEFORE] ??= process.env[VISIBLE] ?? ALL;
  const all = Array.from({ length: count }, (_, number) => number);
  order = [index, ...all.filter((number) => number !== index)];
  process.env[VISIBLE] = order.map((number) => visible?.[number] ?? number).join(",");
}

/**
 * Prepares the process before it opens a graph on CUDA.
 * - Products in float32 are computed in float32, unless TF32 is requested. By default ONNX Runtime computes them
 *   in TF32, which has an error of 3e-4. cuBLAS reads the variable once, when it starts.
 * - GPUs are numbered as in the driver's own tool. CUDA would start with the fastest.
 * - NVIDIA's libraries are loaded from where they were found, because the loader reuses a library that is
 *   already loaded under the same name. Neither `LD_LIBRARY_PATH` nor a system-wide installation is then
 *   needed.
 *
 * @param device The device.
 * @param options Whether its products in float32 round their inputs to TF32; and the number of its GPU, if the
 *   driver's own tool knows that GPU. CUDA then starts with it.
 * @throws {DeviceError} if the process was prepared for the other kind of products.
 */
export function prepareCuda(
  device: string,
  { tf32, index }: { readonly tf32: boolean; readonly index?: number | undefined },
): void {
  const { [PREPARED]: before = "" } = process.env;
  const now = `${process.pid}:${tf32 ? "tf32" : "float32"}`;
  if (before.startsWith(`${process.pid}:`) && before !== now) {
    throw new DeviceError(
      device,
      `this process already computes products on CUDA in ${
        tf32 ? "float32" : "TF32"
      }, and cannot change that: ` +
        "use one of cuda and cuda-tf32 in a process",
    );
  }
  if (before !== now && index !== undefined) startWith(index);
  process.env[PREPARED] = now;
  process.env["NVIDIA_TF32_OVERRIDE"] = tf32 ? "1" : "0";
  process.env["CUDA_DEVICE_ORDER"] ??= "PCI_BUS_ID";
  const { libraries = [] } = readCudaRecord(onnxRuntimeFolder()) ?? {};
  for (const library of libraries) loads(library);
}
