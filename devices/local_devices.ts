/**
 * The devices on this machine.
 *
 * @module
 */

import { type DeviceFacts, LARGEST_ERRORS, probeDevice } from "./device_probe.ts";
import { type Device, DeviceError, DEVICES, deviceTraits } from "../runtime/device.ts";
import { OnnxRuntimeNode } from "../runtime/onnxruntime_node.ts";

/** Tests one device on this machine. */
export async function localDevice(device: Device): Promise<DeviceFacts> {
  let runtime: OnnxRuntimeNode;
  try {
    runtime = new OnnxRuntimeNode({ device });
  } catch (error) {
    if (error instanceof DeviceError) return { device, reason: error.reason, advice: error.advice };
    throw error;
  }
  return await probeDevice(runtime, new OnnxRuntimeNode({ threads: 1 }));
}

/** Tests all devices on this machine, except TF32, which needs a process of its own. */
export async function localDevices(): Promise<DeviceFacts[]> {
  const facts: DeviceFacts[] = [];
  for (const device of DEVICES) facts.push(await localDevice(device));
  return facts;
}

/**
 * Throws if a device cannot run here, before anything is loaded. A CPU always can.
 *
 * @param device The device.
 * @param needs Whether stages compute in float16.
 * @throws {DeviceError} if there is no such device or driver, or if it computes wrong results.
 */
export async function requireDevice(
  device: Device,
  needs: { readonly float16?: boolean } = {},
): Promise<void> {
  if (device === "cpu") return;
  const { float32, float16, reason = "", advice } = await localDevice(device);
  if (float32 === undefined) {
    const others = (await localDevices()).filter((facts) => facts.float32 !== undefined);
    const here = `devices here are ${others.map((facts) => facts.device).join(", ")}`;
    throw new DeviceError(device, reason, { advice: advice === undefined ? here : `${advice}; ${here}` });
  }
  if (needs.float16 && float16 === undefined) {
    throw new DeviceError(device, "this GPU has no float16: choose float32, int8 or int4");
  }
  const allowed = deviceTraits(device).tf32 ? LARGEST_ERRORS.tf32 : LARGEST_ERRORS.float32;
  const wrong = [
    float32 > allowed ? float32 : 0,
    needs.float16 && float16! > LARGEST_ERRORS.float16 ? float16! : 0,
  ].find((error) => error > 0);
  if (wrong !== undefined) {
    throw new DeviceError(
      device,
      `its driver computes attention wrongly, with a relative error of ${
        wrong.toExponential(1)
      } against a CPU: ` +
        "choose another device or driver",
    );
  }
}
