/**
 * `devices`: lists the devices that stages can run on, and installs the libraries that CUDA needs.
 *
 * @module
 */

import { Argument, Command } from "commander";
import { stdout } from "node:process";
import { deviceAdvice, installCuda, removeCuda } from "../devices/cuda_libraries.ts";
import type { DeviceFacts } from "../devices/device_probe.ts";
import { localDevices } from "../devices/local_devices.ts";
import { writeLine } from "./standard_streams.ts";
import { userPath } from "./user_path.ts";

/** Creates the `devices` command. */
export function devicesCommand(): Command {
  const library = () => new Argument("<name>", "which libraries").choices(["cuda"]);
  const install = new Command("install")
    .description(
      "Installs ONNX Runtime's CUDA libraries, which its npm package lacks, and records where NVIDIA's libraries " +
        "are.",
    )
    .addArgument(library())
    .requiredOption(
      "--from <path>",
      "wheel of onnxruntime-gpu, or a virtual environment or folder that contains it",
    )
    .option("--unverified", "accept a build that was never tested with pixstage")
    .action(installLibraries)
    .exitOverride();
  const remove = new Command("remove")
    .description("Removes the libraries that `install` installed.")
    .addArgument(library())
    .action(removeLibraries)
    .exitOverride();
  return new Command("devices")
    .description(
      "Tries the devices that stages can run on, and shows how closely their results match the CPU's.",
    )
    .option("--json", "print JSON")
    .action(list)
    .addCommand(install)
    .addCommand(remove);
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const devices = await localDevices();
  if (json) return writeLine(stdout, JSON.stringify(devices));
  for (const facts of devices) {
    writeLine(stdout, describeDevice(facts));
    const advice = facts.float32 === undefined ? deviceAdvice(facts.device) : [];
    for (const line of advice) writeLine(stdout, `        ${line}`);
  }
}

async function installLibraries(
  _name: string,
  { from, unverified }: { from: string; unverified?: boolean },
): Promise<void> {
  const { folder, cuda, found, missing } = await installCuda({ from: userPath(from), unverified });
  writeLine(stdout, `ONNX Runtime's libraries for CUDA ${cuda} are in ${folder}`);
  if (found.length > 0) writeLine(stdout, `NVIDIA's libraries are loaded from ${found.join(", ")}`);
  if (missing.length > 0) writeLine(stdout, `Still missing: ${missing.join(", ")}`);
}

async function removeLibraries(): Promise<void> {
  writeLine(
    stdout,
    await removeCuda() ? "ONNX Runtime's CUDA libraries were removed" : "There were none to remove",
  );
}

/** Formats what a device can do, in one line. */
export function describeDevice({ device, float32, float16, reason }: DeviceFacts): string {
  if (float32 === undefined) return `${device.padEnd(7)} not available: ${reason}`;
  const off = (error: number) => `off by ${error.toExponential(1)}`;
  const half = device === "cpu" || float16 === undefined ? "" : `, float16 ${off(float16)}`;
  return `${device.padEnd(7)} float32 ${off(float32)}${half}`;
}
