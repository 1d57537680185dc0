// This module is browser compatible.

/**
 * The devices that run graphs.
 *
 * @module
 */

import { z } from "zod";
import { PixstageError } from "../errors/pixstage_error.ts";
import type { RuntimeTraits } from "./runtime.ts";

/** The devices, each with its traits. */
const TRAITS = {
  cpu: { hostMemory: true, float16: false },
  webgpu: {
    hostMemory: false,
    float16: "products",
    transposesWeights: true,
    freesLate: true,
    fillingTokens: 2048,
    contextBytes: 40e6,
    numerics: { device: "webgpu", graphs: 3 },
  },
  cuda: {
    hostMemory: false,
    float16: "blocks",
    fillingTokens: 4096,
    contextBytes: 590e6,
    numerics: { device: "cuda", graphs: 2 },
  },
} as const satisfies Readonly<Record<string, RuntimeTraits>>;

/** The name of one of ONNX Runtime's execution providers. */
export type Provider = keyof typeof TRAITS;

/** The device that runs graphs: a provider, and the number of an NVIDIA GPU. `cuda` is the first one. */
export type Device = Provider | `cuda:${number}`;

/** All available providers. */
export const DEVICES: readonly Provider[] = ["cpu", "webgpu", "cuda"];

/** The schema of {@linkcode Device}. */
export const deviceSchema = z.union([
  z.enum(["cpu", "webgpu", "cuda"]),
  z.templateLiteral(["cuda:", z.string().regex(/^\d{1,2}$/)]).transform((name): Device =>
    `cuda:${Number(name.slice("cuda:".length))}`
  ),
]);

/**
 * Returns the provider for a device, and the device's number among those of the provider. WebGPU has no
 * numbers.
 */
export function providerOf(device: Device): { readonly provider: Provider; readonly index?: number } {
  if (device === "cpu" || device === "webgpu") return { provider: device };
  return { provider: "cuda", index: Number(device.split(":")[1] ?? 0) };
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

  /**
   * @param device The device.
   * @param reason Why it cannot run.
   * @param options The underlying error.
   */
  constructor(device: string, reason: string, options?: ErrorOptions) {
    super("device_unavailable", `Cannot run on ${device} because ${reason}`, {
      ...options,
      details: { field: "device", device, reason },
    });
    this.reason = reason;
  }
}

/** ONNX Runtime's message for a missing device, and its meaning. */
const MISSING: Readonly<Record<Provider, { readonly says: RegExp; readonly reason: string } | undefined>> = {
  cpu: undefined,
  webgpu: {
    says: /Failed to get a WebGPU (adapter|device)|backend not found/,
    reason: "there is no GPU with a driver for Vulkan, Metal or Direct3D 12",
  },
  cuda: {
    says: /Failed to load (shared )?library|backend not found/,
    reason: "ONNX Runtime's CUDA libraries, or NVIDIA's CUDA and cuDNN, are not installed: " +
      "`deno task devices` says how to install them",
  },
};

/**
 * Returns why a device is missing, if a message of ONNX Runtime says so.
 *
 * @param device The device.
 * @param message The message.
 */
export function missingReason(device: Device, message: string): string | undefined {
  const { provider, index } = providerOf(device);
  if (provider === "cuda" && /invalid device ordinal/i.test(message)) {
    return `this machine has no NVIDIA GPU number ${index}: nvidia-smi -L lists them, from 0`;
  }
  const known = MISSING[provider];
  return known?.says.test(message) ? known.reason : undefined;
}
