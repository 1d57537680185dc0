/**
 * The processor of this machine, and the instructions that decide how fast matrices are multiplied.
 *
 * @module
 */

import { availableParallelism, cpus } from "node:os";
import { arch, platform } from "node:process";
import { readKernelFile } from "./kernel.ts";

/** A processor. */
export interface Processor {
  /** Name of the processor. */
  readonly model: string;
  /** The architecture, e.g. `x64` or `arm64`. */
  readonly architecture: string;
  /** Number of threads that can run at the same time. */
  readonly threads: number;
  /**
   * Whether it has each of the instruction sets that ONNX Runtime has kernels for, by name. Empty if they are
   * unknown: pixstage reads them on Linux only.
   */
  readonly features: Readonly<Record<string, boolean>>;
}

/** The kernel's names of instruction sets, by architecture. */
const FEATURES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  x64: {
    AVX2: "avx2",
    "AVX-512": "avx512f",
    "AVX-VNNI": "avx_vnni",
    "AVX-512 VNNI": "avx512_vnni",
    "AVX-512 FP16": "avx512_fp16",
    "AMX int8": "amx_int8",
    "AMX bfloat16": "amx_bf16",
  },
  arm64: { NEON: "asimd", "dot product": "asimddp", I8MM: "i8mm", bfloat16: "bf16", SVE: "sve" },
};

/**
 * Returns the processor of this machine.
 *
 * @example Usage
 * ```ts
 * import { processor } from "./processor.ts";
 * console.assert(processor().threads > 0);
 * ```
 */
export function processor(): Processor {
  return {
    model: cpus()[0]?.model.trim() || "unknown",
    architecture: arch,
    threads: availableParallelism(),
    features: processorFeatures(),
  };
}

/** Returns the instruction sets of this machine's processor, as in {@linkcode Processor.features}. */
export function processorFeatures(): Processor["features"] {
  if (platform !== "linux") return {};
  try {
    return featuresOf(readKernelFile("/proc/cpuinfo"), arch);
  } catch {
    // Deno permits neither this file nor native libraries.
    return {};
  }
}

/**
 * Finds the instruction sets in the kernel's description of the processors.
 *
 * @param description The content of `/proc/cpuinfo`.
 * @param architecture The architecture, e.g. `x64`.
 * @returns Whether the processor has each instruction set; empty for other architectures.
 */
export function featuresOf(description: string, architecture: string): Readonly<Record<string, boolean>> {
  const [, line = ""] = /^(?:flags|Features)\s*:(.*)$/m.exec(description) ?? [];
  const flags = new Set(line.trim().split(/\s+/));
  return Object.fromEntries(
    Object.entries(FEATURES[architecture] ?? {}).map(([name, flag]) => [name, flags.has(flag)]),
  );
}
