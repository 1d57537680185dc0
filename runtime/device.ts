// This module is browser compatible.

/**
 * The devices that run graphs.
 *
 * @module
 */

import { z } from "zod";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { RuntimeTraits } from "./runtime.ts";

const CUDA = {
  hostMemory: false,
  float16: "blocks",
  fillingTokens: 4096,
  contextBytes: 590e6,
  numerics: { device: "cuda", graphs: 3 },
} as const satisfies RuntimeTraits;

/** The devices, each with its traits. */
const TRAITS = {
  cpu: { hostMemory: true, float16: false },
  webgpu: {
    hostMemory: false,
    float16: "weights",
    transposesWeights: true,
    freesLate: true,
    fillingTokens: 2048,
    contextBytes: 40e6,
    numerics: { device: "webgpu", graphs: 6 },
  },
  cuda: CUDA,
  "cuda-tf32": { ...CUDA, tf32: true, numerics: { ...CUDA.numerics, tf32: true } },
} as const satisfies Readonly<Record<string, RuntimeTraits>>;

/**
 * The name of a device without its number: one of ONNX Runtime's execution providers. `cuda-tf32` is CUDA whose
 * products in float32 round their inputs to TF32.
 */
export type Provider = keyof typeof TRAITS;

/** The device that runs graphs: a provider, and the number of an NVIDIA GPU. `cuda` is the first one. */
export type Device = Provider | `${CudaProvider}:${number}`;

type CudaProvider = Extract<Provider, `cuda${string}`>;

/** The providers whose results are those of float32. */
export const DEVICES: readonly Provider[] = ["cpu", "webgpu", "cuda"];

/** The schema of {@linkcode Device}. */
export const deviceSchema = z.union([
  z.enum(["cpu", "webgpu", "cuda", "cuda-tf32"]),
  numbered("cuda"),
  numbered("cuda-tf32"),
]);

function numbered(provider: CudaProvider) {
  return z.templateLiteral([`${provider}:`, z.string().regex(/^\d{1,2}$/)]).transform((name): Device =>
    `${provider}:${Number(name.slice(provider.length + 1))}`
  );
}

/**
 * Returns the provider for a device, and the device's number among those of the provider. WebGPU has no
 * numbers.
 */
export function providerOf(device: Device): { readonly provider: Provider; readonly index?: number } {
  if (device === "cpu" || device === "webgpu") return { provider: device };
  const [provider, index = 0] = device.split(":");
  return { provider: provider === "cuda" ? provider : "cuda-tf32", index: Number(index) };
}

/** Returns the traits of a device. */
export function deviceTraits(device: Device): RuntimeTraits {
  return TRAITS[providerOf(device).provider];
}

/** This machine does not have the device, or no driver for it. */
export class DeviceError extends PixstageError<"device_unavailable"> {
  override name = "DeviceError";
  /** Why the device cannot run. */
  readonly reason: string;
  /** What to do about it, if that is known. */
  readonly advice: string | undefined;

  /**
   * @param device The device.
   * @param reason Why it cannot run.
   * @param options What to do about it, and the underlying error.
   */
  constructor(
    device: string,
    reason: string,
    { advice, ...options }: ErrorOptions & { readonly advice?: string | undefined } = {},
  ) {
    const told = advice === undefined ? reason : `${reason}: ${advice}`;
    super("device_unavailable", `Cannot run on ${device} because ${told}`, {
      ...options,
      details: { field: "device", device, reason, ...(advice === undefined ? {} : { advice }) },
    });
    this.reason = reason;
    this.advice = advice;
  }
}

/** Why a device is missing. */
export interface MissingDevice {
  /** The reason. */
  readonly reason: string;
  /** What to do about it, if that is known. */
  readonly advice?: string;
}

/** The library through which WebGPU finds GPUs on Linux. */
export const VULKAN_LOADER = "libvulkan.so.1";

/** WebGPU without that library. */
export const MISSING_VULKAN: MissingDevice = {
  reason: "the Vulkan loader is not installed",
  advice: "`deno task devices` says how to install it",
};

const MISSING_CUDA = {
  says: /Failed to load (shared )?library|backend not found/,
  reason: "ONNX Runtime's CUDA libraries, or NVIDIA's CUDA and cuDNN, are not installed",
  advice: "`deno task devices` says how to install them",
};

/** ONNX Runtime's message for a missing device, and its meaning. */
const MISSING: Readonly<Record<Provider, MissingDevice & { readonly says: RegExp } | undefined>> = {
  cpu: undefined,
  webgpu: {
    says: /Failed to get a WebGPU (adapter|device)|backend not found/,
    reason: "there is no GPU with a driver for Vulkan, Metal or Direct3D 12",
  },
  cuda: MISSING_CUDA,
  "cuda-tf32": MISSING_CUDA,
};

/**
 * Returns why a device is missing and what to do about it, if a message of ONNX Runtime says so.
 *
 * @param device The device.
 * @param message The message.
 */
export function missingDevice(device: Device, message: string): MissingDevice | undefined {
  const { provider, index } = providerOf(device);
  if (index !== undefined && /invalid device ordinal/i.test(message)) {
    return {
      reason: `this machine has no NVIDIA GPU number ${index}`,
      advice: "nvidia-smi -L lists them, from 0",
    };
  }
  const known = MISSING[provider];
  return known?.says.test(message) ? known : undefined;
}
