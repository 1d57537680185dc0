/**
 * ONNX Runtime's CUDA libraries, which are too large for its npm package: their location, their builds, and
 * the NVIDIA libraries that they need.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { unzipSync } from "fflate";
import type { z } from "zod";
import { InputError } from "../errors/pixstage_error.ts";
import {
  CUDA_RECORD,
  type cudaRecordSchema,
  loads,
  onnxRuntimeFolder,
  readCudaRecord,
} from "../runtime/cuda_environment.ts";
import { VULKAN_LOADER } from "../runtime/device.ts";

/** The ONNX Runtime version that the libraries must have. */
export const ONNXRUNTIME_VERSION = "1.30.0";

const PROVIDER = "libonnxruntime_providers_cuda.so";
const SHARED = "libonnxruntime_providers_shared.so";

/** A build of the libraries. */
export interface CudaBuild {
  /** The library's source. */
  readonly source: string;
  /** The CUDA version that it is for. */
  readonly cuda: 12 | 13;
  /** SHA-256 of the provider. */
  readonly sha256: string;
}

/** The builds that have been tested. */
export const KNOWN_BUILDS: readonly CudaBuild[] = [{
  source: `onnxruntime-gpu ${ONNXRUNTIME_VERSION} of PyPI`,
  cuda: 13,
  sha256: "35da2e7ed0dd0d1aec5cdb16ce11a51d06c0c48cf62d1b1c9332946a4fae14fc",
}];

/** NVIDIA's libraries, each before those that need it. `libcuda.so.1` comes with the driver. */
const NVIDIA: Readonly<Record<12 | 13, readonly string[]>> = {
  12: [
    "libcuda.so.1",
    "libcudart.so.12",
    "libnvrtc.so.12",
    "libcublasLt.so.12",
    "libcublas.so.12",
    "libcurand.so.10",
    "libcufft.so.11",
    "libcudnn.so.9",
  ],
  13: [
    "libcuda.so.1",
    "libcudart.so.13",
    "libnvrtc.so.13",
    "libcublasLt.so.13",
    "libcublas.so.13",
    "libcurand.so.10",
    "libcufft.so.12",
    "libcudnn.so.9",
  ],
};

/** The result of an installation. */
export interface InstalledCuda {
  /** The folder of the libraries. */
  readonly folder: string;
  /** The CUDA version that they are for. */
  readonly cuda: 12 | 13;
  /** NVIDIA's libraries that were found next to them. */
  readonly found: readonly string[];
  /** NVIDIA's libraries that were not found. */
  readonly missing: readonly string[];
}

/** Options of {@linkcode installCuda}. */
export interface InstallCudaOptions {
  /**
   * A wheel of `onnxruntime-gpu`, or a folder that contains the libraries anywhere, such as a virtual
   * environment.
   */
  readonly from: string;
  /** Whether to accept builds that have not been tested. */
  readonly unverified?: boolean | undefined;
  /** The folder to install into. The default is ONNX Runtime's own folder. */
  readonly folder?: string | undefined;
  /** The accepted builds. */
  readonly known?: readonly CudaBuild[] | undefined;
}

/**
 * Installs ONNX Runtime's CUDA libraries where it finds them, and records the location of NVIDIA's libraries.
 *
 * @param options The source of the libraries.
 * @returns What was installed, and what is still missing.
 * @throws {InputError} if there are no such libraries, or their version is another one.
 */
export async function installCuda(options: InstallCudaOptions): Promise<InstalledCuda> {
  const { from, unverified = false, folder = onnxRuntimeFolder(), known = KNOWN_BUILDS } = options;
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new InputError(
      "invalid_value",
      `Cannot install CUDA: ONNX Runtime's npm package only supports it on Linux x64, but this is ${process.platform} ` +
        process.arch,
    );
  }
  const partial = join(folder, `.${PROVIDER}.partial`);
  try {
    const shared = await takeLibraries(from, partial);
    const sha256 = await fileHash(partial);
    const build = known.find((build) => build.sha256 === sha256);
    const cuda = build?.cuda ?? await cudaVersion(partial);
    if (!build && !unverified) {
      throw new InputError(
        "invalid_value",
        `Cannot install ${PROVIDER} of ${from}: it is none of the tested builds, ` +
          `${
            known.map(({ source }) => source).join(", ")
          }. Its SHA-256 is ${sha256}; --unverified installs it anyway`,
      );
    }
    const libraries = await findLibraries(from, NVIDIA[cuda]);
    await writeFile(join(folder, SHARED), shared);
    await rename(partial, join(folder, PROVIDER));
    const record: z.input<typeof cudaRecordSchema> = { cuda, sha256, libraries };
    await writeFile(join(folder, CUDA_RECORD), JSON.stringify(record, null, 2));
    const found = libraries.map((path) => basename(path));
    return {
      folder,
      cuda,
      found,
      missing: NVIDIA[cuda].filter((name) => !found.includes(name) && !loads(name)),
    };
  } finally {
    await rm(partial, { force: true });
  }
}

/**
 * Removes what {@linkcode installCuda} installed.
 *
 * @param folder The folder of the installation.
 * @returns Whether there was an installation.
 */
export async function removeCuda(folder: string = onnxRuntimeFolder()): Promise<boolean> {
  const files = [PROVIDER, SHARED, CUDA_RECORD].map((name) => join(folder, name)).filter((path) =>
    existsSync(path)
  );
  for (const file of files) await rm(file);
  return files.length > 0;
}

/** Returns advice on how to enable a missing device, or nothing if that is not known. */
export function deviceAdvice(device: string): string[] {
  if (process.platform !== "linux") return [];
  if (device === "cuda") return cudaAdvice(onnxRuntimeFolder());
  if (device !== "webgpu" || loads(VULKAN_LOADER)) return [];
  return [
    "Install it with apt install libvulkan1 (Debian, Ubuntu) or dnf install vulkan-loader (Fedora)",
  ];
}

function cudaAdvice(folder: string): string[] {
  const isThere = existsSync(join(folder, PROVIDER));
  const cuda = isThere ? installedVersion(folder) : 13;
  const missing = NVIDIA[cuda].filter((name) => !loads(name));
  if (missing.includes("libcuda.so.1")) {
    return ["There is no NVIDIA driver: install the one for your system, and check it with nvidia-smi"];
  }
  if (isThere && missing.length === 0) return [];
  return [
    `python3 -m venv cuda && cuda/bin/pip install "onnxruntime-gpu[cuda,cudnn]==${ONNXRUNTIME_VERSION}" nvidia-cublas`,
    "deno task devices install cuda --from cuda",
  ];
}

function installedVersion(folder: string): 12 | 13 {
  return readCudaRecord(folder)?.cuda ?? 13;
}

/** Copies the provider to a file, and returns the small library that loads it. */
async function takeLibraries(from: string, partial: string): Promise<Uint8Array> {
  if (from.endsWith(".whl")) {
    const version = /^onnxruntime_gpu-([^-]+)-/.exec(basename(from))?.[1];
    if (version !== ONNXRUNTIME_VERSION) {
      throw new InputError(
        "invalid_value",
        `Cannot install ${from}: it must be a wheel of onnxruntime-gpu ${ONNXRUNTIME_VERSION}, but its version is ` +
          `${version ?? "not in its name"}`,
      );
    }
    const entries = unzipSync(await readFile(from), {
      filter: ({ name }) => [PROVIDER, SHARED].includes(basename(name)),
    });
    const [provider, shared] = [PROVIDER, SHARED].map((name) =>
      Object.entries(entries).find(([path]) => basename(path) === name)?.[1]
    );
    if (!provider || !shared) throw missingProvider(from);
    await writeFile(partial, provider);
    return shared;
  }
  if (!existsSync(from)) throw missingProvider(from);
  const [provider, shared] = await Promise.all([PROVIDER, SHARED].map((name) => findFile(from, name)));
  if (!provider || !shared) throw missingProvider(from);
  await copyFile(provider, partial);
  return await readFile(shared);
}

function missingProvider(from: string): InputError {
  return new InputError(
    "not_found",
    `Cannot install CUDA from ${from}: it contains no ${PROVIDER} with its ${SHARED}. Give a wheel of onnxruntime-gpu, ` +
      "or a virtual environment or folder that it is installed in",
  );
}

/** Finds the first file of a name in a folder and its subfolders. */
async function findFile(folder: string, name: string): Promise<string | undefined> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.name === name && !entry.isDirectory()) return join(entry.parentPath, name);
  }
  return undefined;
}

/** Finds the libraries that are somewhere next to ONNX Runtime's, and keeps their order. */
async function findLibraries(from: string, names: readonly string[]): Promise<string[]> {
  const folder = from.endsWith(".whl") ? dirname(from) : from;
  const found = await Promise.all(names.map((name) => findFile(folder, name)));
  return found.filter((path) => path !== undefined);
}

async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  await using file = await open(path);
  for await (const chunk of file.createReadStream({ autoClose: false })) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Reads the CUDA version that a library needs from the name of cuBLAS. The name of CUDA's runtime library does
 * not tell the version, because cuDNN's frontend, which is part of the library, contains it for all versions.
 */
async function cudaVersion(path: string): Promise<12 | 13> {
  const bytes = await readFile(path);
  const version = ([12, 13] as const).find((version) => bytes.includes(`libcublasLt.so.${version}\0`));
  if (version) return version;
  throw new InputError(
    "invalid_value",
    `Cannot install ${path}: it needs neither CUDA 12 nor CUDA 13, so it is another kind of library`,
  );
}
