/**
 * Judges the state of a machine: what is wrong, whether it prevents a run, and what to do.
 *
 * @module
 */

import { isAbsolute } from "node:path";
import prettyBytes from "pretty-bytes";
import type { FolderFacts } from "../../disk/folder_facts.ts";
import { LARGEST_ERRORS } from "../../devices/device_probe.ts";
import { type Finding, permissionFindings } from "./permission_findings.ts";
import { PROXIES } from "./environment.ts";
import type { MachineReport } from "./report.ts";

/** Less free space than this is soon used up. */
const LITTLE_SPACE: Readonly<Record<"store" | "quantized" | "hub", number>> = {
  store: 500e6,
  quantized: 1e9,
  hub: 5e9,
};

/** A picture needs up to this much. */
const LEAST_SPACE = 5e6;

/** Finds what is wrong. Problems that prevent a run come first. */
export function findings(report: MachineReport): readonly Finding[] {
  const found = [
    ...permissionFindings(report.permissions ?? {}),
    ...deviceFindings(report),
    ...memoryFindings(report),
    ...folderFindings(report),
    ...modelFindings(report),
    ...environmentFindings(report),
  ];
  return [...found.filter(({ prevents }) => prevents), ...found.filter(({ prevents }) => !prevents)];
}

function deviceFindings({ devices, processor }: MachineReport): readonly Finding[] {
  const found: Finding[] = [];
  for (const { device, float32, reason } of devices) {
    if (device === "cpu" && float32 === undefined) {
      found.push({
        prevents: true,
        problem: `ONNX Runtime does not run on this processor: ${reason}`,
        advice: "Install the dependencies again: `deno install`, or `npm install` with Node",
      });
    } else if (float32 !== undefined && float32 > LARGEST_ERRORS.float32) {
      found.push({
        prevents: device === "cpu",
        problem: `The device ${device} computes wrong results: its relative error is ${
          float32.toExponential(1)
        }`,
        advice: "Update its driver, or choose another --device",
      });
    }
  }
  if (processor.features["AVX2"] === false) {
    found.push({
      prevents: false,
      problem: "The processor has no AVX2, so each step takes several times as long",
      advice: "In a virtual machine, pass the host's processor through; otherwise choose another machine",
    });
  }
  return found;
}

function memoryFindings({ memory, run }: MachineReport): readonly Finding[] {
  const { available, groupLimit, addressSpaceLimit } = memory;
  const found: Finding[] = [];
  if (run.predictedPeak !== undefined && run.predictedPeak > available) {
    const limit = groupLimit === undefined
      ? ""
      : `, because its control group is limited to ${prettyBytes(groupLimit)}`;
    found.push({
      prevents: true,
      problem: `A picture of ${run.model} needs ${prettyBytes(run.predictedPeak)} of memory, but ${
        prettyBytes(available)
      } are available${limit}`,
      advice: groupLimit === undefined
        ? "Close other programs, or let --max-memory choose a leaner way to run"
        : "Raise the limit of the container or service, or let --max-memory choose a leaner way to run",
    });
  }
  if (addressSpaceLimit !== undefined) {
    found.push({
      prevents: false,
      problem: `The address space is limited to ${
        prettyBytes(addressSpaceLimit)
      }. Mapped weights count against it`,
      advice: "Lift the limit: ulimit -v unlimited",
    });
  }
  return found;
}

function folderFindings({ folders }: MachineReport): readonly Finding[] {
  const { pictures, store, quantized, hub } = folders;
  return [
    ...faultFindings(pictures, true, "Change to another folder, or name one with --output"),
    ...fullFindings(pictures),
    ...faultFindings(store, false, "Until then nothing is kept. Set PIXSTAGE_STORE to another folder"),
    ...faultFindings(quantized, false, "Until then int8 and int4 do not run. Set PIXSTAGE_QUANTIZED"),
    ...faultFindings(hub, false, "Until then no model can be downloaded. Set HF_HUB_CACHE or HF_HOME"),
    ...spaceFindings("store", store, "`store gc --max-size` removes the oldest results"),
    ...spaceFindings("quantized", quantized, "`quantized gc --max-size` removes the oldest weights"),
    ...spaceFindings("hub", hub, "Set HF_HUB_CACHE to a folder on a larger disk"),
  ];
}

function faultFindings({ fault }: FolderFacts, prevents: boolean, advice: string): readonly Finding[] {
  return fault === undefined ? [] : [{ prevents, problem: fault, advice }];
}

function fullFindings({ path, freeBytes }: FolderFacts): readonly Finding[] {
  if (freeBytes === undefined || freeBytes >= LEAST_SPACE) return [];
  return [{
    prevents: true,
    problem: `The disk of ${path} is full: ${prettyBytes(freeBytes)} are left`,
    advice: "Free some space, change to another folder, or name one with --output",
  }];
}

function spaceFindings(
  name: keyof typeof LITTLE_SPACE,
  { path, freeBytes }: FolderFacts,
  advice: string,
): readonly Finding[] {
  if (freeBytes === undefined || freeBytes >= LITTLE_SPACE[name]) return [];
  return [{
    prevents: false,
    problem: `The disk of ${path} has only ${prettyBytes(freeBytes)} left`,
    advice: `Free some space: ${advice}`,
  }];
}

function modelFindings({ models, run }: MachineReport): readonly Finding[] {
  const faulty = models.flatMap(({ name, folder, faults }) =>
    faults.map((fault) => ({
      prevents: name === run.model,
      problem: `The model ${name} cannot be used: ${fault}`,
      advice: `Delete ${folder}, and let a run download the model again`,
    }))
  );
  if (run.fault === undefined || faulty.some(({ prevents }) => prevents)) return faulty;
  return [{
    prevents: true,
    problem: `The model ${run.model} does not run: ${run.fault}`,
    advice: "`models` lists the models that are here; name one with --model",
  }, ...faulty];
}

function environmentFindings({ environment, folders }: MachineReport): readonly Finding[] {
  const found: Finding[] = [];
  for (const name of ["HF_HOME", "HF_HUB_CACHE", "PIXSTAGE_STORE", "PIXSTAGE_QUANTIZED"]) {
    const value = environment[name];
    if (value === undefined || isAbsolute(value)) continue;
    found.push({
      prevents: false,
      problem: `${name} is ${value}, which is relative to the folder of each command`,
      advice: value.startsWith("~")
        ? `Write $HOME instead of ~, which only a shell replaces`
        : "Set it to an absolute path",
    });
  }
  const set = ["HF_HUB_CACHE", "HF_HOME"].find((name) => environment[name] !== undefined);
  if (set !== undefined && !folders.hub.exists && folders.hub.fault === undefined) {
    found.push({
      prevents: false,
      problem: `${set} leads to ${folders.hub.path}, which does not exist, so no downloaded model is found`,
      advice: `If you have models, correct ${set}. Otherwise the first download creates the folder`,
    });
  }
  for (const name of PROXIES) {
    const value = environment[name];
    if (value === undefined || URL.canParse(value)) continue;
    found.push({
      prevents: false,
      problem: `${name} is ${value}, which is not an address`,
      advice: "Set it to the proxy's address, such as http://proxy.example:3128",
    });
  }
  return found;
}
